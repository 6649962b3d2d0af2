"""The whole way of a picture: bytes, type, text, answer."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.alignment import Columns
from ml.recognition.alternatives import Alternatives
from ml.recognition.arithmetic import NotArithmetic
from ml.recognition.decoding import CharacterReading, Constraints, Reading
from ml.recognition.images import MAX_BYTES, MAX_PIXELS, fit, open_image
from ml.recognition.reader import Reader, TypeClassifier

GENERAL = "general"
_ANYTHING = Constraints()


class Unsolvable(Exception):
    """No answer can be given; `reason` says why, in words for the caller.

    `code` is one of not_a_captcha, low_confidence, no_reader, constraints, arithmetic.
    """

    def __init__(self, reason: str, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a picture says and what to type; `timings_ms` has the stages decode, type and read."""

    text: str
    answer: str
    captcha_type: str
    type_confidence: float
    """1 where the caller named the type."""
    confidence: float
    characters: tuple[CharacterReading, ...]
    model_version: str
    timings_ms: dict[str, float]


class Recognizer:
    """The loaded models; stateless between calls, so threads may share it.

    Args:
        types: tells the types apart; without it every picture goes to the general reader.
        readers: by slug of the type. One may be opened when it is first asked for: that its name is among
            them does not say that it opens.
        general: reads what no other reader is for.
    """

    def __init__(
        self, types: TypeClassifier | None, readers: Mapping[str, Reader], general: Reader | None
    ) -> None:
        self.types = types
        self.readers = readers
        self.general = general

    def recognize(
        self,
        data: bytes,
        *,
        captcha_type: str | None = None,
        constraints: Constraints = _ANYTHING,
        min_confidence: float | None = None,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> Recognition:
        """Read an upload. `captcha_type` overrides the type model; the higher minimum confidence counts.

        Raises:
            ImageError: the bytes are no readable picture.
            Unsolvable: the picture has no answer, or none that can be trusted.
        """
        start = perf_counter()
        image = open_image(data, max_bytes=max_bytes, max_pixels=max_pixels)
        types = self.types if captcha_type is None else None
        size = None if types is None else types.spec.input
        prepared = None if size is None else fit(image, size)
        decoded = perf_counter()
        slug, type_confidence = captcha_type or GENERAL, 1.0
        if types is not None and prepared is not None:
            decision = types.classify(prepared)
            slug, type_confidence = decision.slug or GENERAL, decision.confidence
        reader, slug = self._reader(slug, hinted=captcha_type is not None)
        typed = perf_counter()
        if prepared is None or size != reader.spec.input:
            prepared = fit(image, reader.spec.input)
        reading, answer = _solve(reader, image, prepared, constraints)
        _check_confidence(reading.confidence, reader.spec.min_confidence, min_confidence)
        done = perf_counter()
        return Recognition(
            text=reading.text,
            answer=answer,
            captcha_type=slug,
            type_confidence=type_confidence,
            confidence=reading.confidence,
            characters=reading.characters,
            model_version=reader.spec.name,
            timings_ms={
                "decode": (decoded - start) * 1000,
                "type": (typed - decoded) * 1000,
                "read": (done - typed) * 1000,
            },
        )

    def alternatives(self, data: bytes, recognition: Recognition) -> Alternatives:
        """What else each character of an upload that was read may be; nothing once another model serves."""
        reader = self._reader_of(recognition)
        return () if reader is None else reader.alternatives(_open_again(data), recognition.text)

    def columns(self, data: bytes, recognition: Recognition) -> tuple[Columns, ...]:
        """Where in an upload that was read each character was seen; nothing once another model serves."""
        reader = self._reader_of(recognition)
        return () if reader is None else reader.columns(_open_again(data), recognition.text)

    def _reader_of(self, recognition: Recognition) -> Reader | None:
        """The reader that made a recognition, while it serves."""
        reader = self.readers.get(recognition.captcha_type, self.general)
        return reader if reader is not None and reader.spec.name == recognition.model_version else None

    def _reader(self, slug: str, *, hinted: bool) -> tuple[Reader, str]:
        """The reader for a type and the slug it reads under."""
        reader = self.readers.get(slug)
        if reader is not None:
            return reader, slug
        if self.general is None or (hinted and slug != GENERAL):
            known = ", ".join([*sorted(self.readers), *([GENERAL] if self.general else [])]) or "none"
            raise Unsolvable(f"no reader for this type (there are: {known})", "no_reader")
        return self.general, GENERAL


def _open_again(data: bytes) -> Image.Image:
    """The picture of an upload that was let in before."""
    return open_image(data, max_bytes=len(data), max_pixels=sys.maxsize)


def _solve(
    reader: Reader, image: Image.Image, prepared: NDArray[np.uint8], constraints: Constraints
) -> tuple[Reading, str]:
    """The text and the answer that `constraints` allow."""
    spec = reader.spec
    is_sum = spec.arithmetic or constraints.math
    # What is asked of a sum is asked of its value.
    reading = reader.read(image, Constraints(math=True) if is_sum else constraints, prepared)
    if reading is not None and not reading.text:
        raise Unsolvable("not a captcha: no text found", "not_a_captcha")
    if reading is None:
        if is_sum:
            raise Unsolvable("no sum found", "arithmetic")
        if constraints == _ANYTHING:
            lengths = Constraints(spec.min_length, spec.max_length)
            raise Unsolvable(f"no reading of {lengths} is likely", "low_confidence")
        raise Unsolvable(f"{constraints} excludes every reading", "constraints")
    if is_sum:
        answer = _value(reading.text)
        if not constraints.allows(answer):
            raise Unsolvable(f"{constraints} excludes the answer {answer}", "constraints")
        return reading, answer
    return reading, _value_of_question(reading.text, constraints)


def _value(text: str) -> str:
    try:
        return str(arithmetic.answer(text))
    except NotArithmetic as error:
        raise Unsolvable(str(error), "arithmetic") from error


def _value_of_question(text: str, constraints: Constraints) -> str:
    """The value where the text plainly asks for one (``3+4=?``), else the text."""
    if not text.endswith(("=", "?")):
        return text
    try:
        value = str(arithmetic.answer(text))
    except NotArithmetic:
        return text
    return value if constraints.allows(value) else text


def _check_confidence(confidence: float, *minima: float | None) -> None:
    minimum = max(minimum for minimum in minima if minimum is not None)
    if confidence < minimum:
        # Rounded down, or 0.899 would read as 0.90.
        shown = math.floor(confidence * 100) / 100
        raise Unsolvable(f"confidence {shown:.2f} < {minimum:.2f}", "low_confidence")
