"""The networks as ONNX, run by ONNX Runtime on one thread: a reader of one type, and the type classifier.

Open them after a server has forked: a session's threads do not survive a fork.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from ml.recognition import arithmetic, artifacts
from ml.recognition.alignment import Columns, columns_of, frames_of
from ml.recognition.alternatives import Alternatives, alternatives
from ml.recognition.artifacts import ArtifactError, ReaderSpec, TypesSpec
from ml.recognition.charset import Alphabet
from ml.recognition.decoding import (
    Constraints,
    Reading,
    constrained_decode,
    greedy_decode,
    joint_decode,
    log_softmax,
    text_probability,
)
from ml.recognition.images import fit
from ml.recognition.looks import Look, shown

INPUT, OUTPUT = "images", "logits"
_ANYTHING = Constraints()
_SUM = Constraints(alphabet=frozenset(arithmetic.CHARACTERS))
_LARGEST_RUN = 16
"""Images a run: ONNX Runtime keeps the memory of the largest one, 35 MiB for 64 and no faster."""
SURE = 0.98
"""Confidence from which no further look at a picture is taken."""
Looks = Sequence[NDArray[np.float32]]
"""Logits (frames, classes) of each look at one picture."""
Spec = TypeVar("Spec", ReaderSpec, TypesSpec)


class Reader:
    """Reads the text of one captcha type, or, as the general reader, of any.

    Raises:
        ArtifactError: the folder is damaged, too large, its weights do not fit its spec, or their SHA-256
            (hex) is not `expected_sha256`.
    """

    def __init__(self, folder: Path, *, expected_sha256: str | None = None) -> None:
        spec, self.sha256, self._session = _open(Path(folder), ReaderSpec, expected_sha256)
        self.spec: ReaderSpec = spec
        self._folding = None if spec.case_sensitive else _Folding(spec.alphabet)
        self._alphabet = spec.alphabet if self._folding is None else self._folding.alphabet
        _check_classes(self._session, spec.alphabet.size, spec)

    def logits(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) uint8 to (n, frames, classes) float32, not normalised."""
        return _run(self._session, batch)

    def read(
        self,
        image: Image.Image,
        constraints: Constraints = _ANYTHING,
        prepared: NDArray[np.uint8] | None = None,
    ) -> Reading | None:
        """The text of an RGB picture, None where `constraints` leave no plausible one.

        It is looked at again, in the spec's other ways, where the first look leaves doubt. Where nothing at
        all is seen the text is empty, whatever the constraints. `prepared` is the picture as `fit` gave it
        for this reader's input size, if that was done already.
        """
        return self.settle(self._looked(image, prepared), constraints)

    def settle(
        self,
        looks: Iterable[NDArray[np.float32]],
        constraints: Constraints = _ANYTHING,
        *,
        temperature: float | None = None,
    ) -> Reading | None:
        """What the first of `looks` says where it leaves no doubt, else the first three, else all of them.

        The later ones are taken only then. Arguments as for `decode`.
        """
        following = iter(looks)
        taken: list[NDArray[np.float32]] = []
        reading: Reading | None = None
        for count in sorted({1, min(3, len(self.spec.looks)), len(self.spec.looks)}):
            taken += islice(following, count - len(taken))
            reading = self.decode(taken, constraints, temperature=temperature)
            if reading is not None and reading.confidence >= SURE:
                break
        return reading

    def look(self, image: Image.Image) -> Looks:
        """The logits of an RGB picture, (frames, classes) float32, for each of the spec's looks at it."""
        return tuple(self._looked(image, None))

    def _looked(
        self, image: Image.Image, prepared: NDArray[np.uint8] | None
    ) -> Iterator[NDArray[np.float32]]:
        if prepared is None:
            prepared = fit(image, self.spec.input)
        yield self.logits(prepared[None])[0]
        for look in self.spec.looks[1:]:
            yield self.logits(shown(image, self.spec.input, look)[None])[0]

    def alternatives(self, image: Image.Image, text: str) -> Alternatives:
        """What else each character of `text`, as it was read, may be; from the first look, not for each read.

        It takes some milliseconds. Nothing for a text that this reader does not write.
        """
        labels = self._labels(text)
        if labels is None:
            return ()
        log_probs = self._log_probs(self.logits(fit(image, self.spec.input)[None])[0])
        return alternatives(np.exp(log_probs), labels, self._alphabet)

    def columns(self, image: Image.Image, text: str) -> tuple[Columns, ...]:
        """Where in the picture each character of `text`, as it was read, was seen; not for each read.

        Of several looks that one tells which is surest of the text: the first where it was sure enough for
        `read`. Nothing for a text that this reader does not write, or that no path spells.
        """
        labels = self._labels(text)
        if not labels:
            return ()
        surest: tuple[float, Look, NDArray[np.floating]] | None = None
        for look in self.spec.looks:
            log_probs = self._log_probs(self.logits(shown(image, self.spec.input, look)[None])[0])
            probability = text_probability(np.exp(log_probs), labels)
            if surest is None or probability > surest[0]:
                surest = probability, look, log_probs
            if probability >= SURE:
                break
        if surest is None:
            return ()
        _, look, log_probs = surest
        return columns_of(frames_of(log_probs, labels), len(log_probs), look, *image.size)

    def _labels(self, text: str) -> list[int] | None:
        """The classes of a text as `_log_probs` has them, None where this reader does not write it."""
        spelled = text if self._folding is None else text.upper()
        known = all(character in self._alphabet.index for character in spelled)
        return self._alphabet.encode(spelled) if known else None

    def _log_probs(self, logits: NDArray[np.float32]) -> NDArray[np.floating]:
        """Calibrated log-probabilities over the folded alphabet, where case does not count."""
        scaled = logits / np.float32(self.spec.temperature)
        return log_softmax(scaled if self._folding is None else self._folding.fold(scaled))

    def decode(
        self, looks: Looks, constraints: Constraints = _ANYTHING, *, temperature: float | None = None
    ) -> Reading | None:
        """What one picture's logits say, (frames, classes) for each look; else as for `read`.

        The spec's own lengths and case hold besides `constraints`. `temperature` is for trying another one.
        """
        if not looks[0].argmax(axis=1).any():
            return Reading("", 1.0, ())
        scaled = [logits / np.float32(temperature or self.spec.temperature) for logits in looks]
        alphabet = self._alphabet
        if self._folding is not None:
            scaled = [self._folding.fold(logits) for logits in scaled]
            alphabet = self._folding.spelled(constraints)
        combined = _with_spec(constraints, self.spec)
        if combined is None:
            return None
        if len(scaled) > 1 or self.spec.expectation:
            return joint_decode(scaled, alphabet, combined, expectation=self.spec.expectation)
        if combined == _ANYTHING:
            return greedy_decode(scaled[0], alphabet)
        return constrained_decode(scaled[0], alphabet, combined)


@dataclass(frozen=True, slots=True)
class TypeDecision:
    """The type a picture is taken for (None: no known one), and the probability that it is."""

    slug: str | None
    confidence: float


class TypeClassifier:
    """Decides which known type a picture is of.

    Raises:
        ArtifactError: as for `Reader`.
    """

    def __init__(self, folder: Path, *, expected_sha256: str | None = None) -> None:
        spec, self.sha256, self._session = _open(Path(folder), TypesSpec, expected_sha256)
        self.spec: TypesSpec = spec
        self._other = spec.labels.index(artifacts.OTHER)
        _check_classes(self._session, len(spec.labels), spec)

    def logits(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, height, width, 3) uint8 to (n, labels) float32, not normalised."""
        return _run(self._session, batch)

    def classify(self, prepared: NDArray[np.uint8]) -> TypeDecision:
        """The type of a picture that `fit` gave for this model's input size, (height, width, 3) uint8.

        None, with the probability of "other", where "other" wins or the winner misses its threshold.
        """
        logits = self.logits(prepared[None])[0].tolist()
        best = logits.index(max(logits))
        # Plain floats: for a few labels they take a sixth of the time of NumPy's calls.
        exponentials = [math.exp((logit - logits[best]) / self.spec.temperature) for logit in logits]
        total = sum(exponentials)
        probabilities = [exponential / total for exponential in exponentials]
        label, probability = self.spec.labels[best], probabilities[best]
        if label == artifacts.OTHER or probability < self.spec.thresholds.get(label, 0.0):
            return TypeDecision(None, probabilities[self._other])
        return TypeDecision(label, probability)


class _Folding:
    """Upper and lower case taken for one: their probabilities add up."""

    def __init__(self, alphabet: Alphabet) -> None:
        kept: dict[str, int] = {}
        pairs = []
        for index, character in enumerate(alphabet.characters, start=1):
            upper = character.upper()
            if len(upper) != 1 or upper.lower() != character.lower():
                upper = character  # letters like ß have no capital of one character
            if upper in kept:
                pairs.append((kept[upper], index))
            else:
                kept[upper] = index
        self.alphabet = Alphabet("".join(kept))
        self._columns = np.array([0, *kept.values()])
        self._into = np.array([1 + list(kept.values()).index(first) for first, _ in pairs], np.intp)
        self._from = np.array([second for _, second in pairs], np.intp)
        self.spelled = lru_cache(maxsize=256)(self._spelled)

    def fold(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits over the folded alphabet."""
        if not len(self._from):
            return logits
        folded = logits[:, self._columns]
        folded[:, self._into] = np.logaddexp(folded[:, self._into], logits[:, self._from])
        return folded

    def _spelled(self, constraints: Constraints) -> Alphabet:
        """The folded alphabet in the case that `constraints` ask for, upper where both will do."""
        spelled = []
        for upper in self.alphabet.characters:
            lower = upper.lower()
            takes_lower = not constraints.allows_character(upper) and constraints.allows_character(lower)
            spelled.append(lower if takes_lower else upper)
        return Alphabet("".join(spelled))


@lru_cache(maxsize=1024)
def _with_lengths(constraints: Constraints, low: int | None, high: int | None) -> Constraints | None:
    """`constraints` within lengths `low` to `high`; None when nothing is left."""
    lows = [length for length in (constraints.min_length, low) if length is not None]
    highs = [length for length in (constraints.max_length, high) if length is not None]
    if lows and highs and max(lows) > min(highs):
        return None
    return Constraints(
        max(lows, default=None),
        min(highs, default=None),
        constraints.numeric,
        constraints.alphabet,
        constraints.case,
    )


def _with_spec(constraints: Constraints, spec: ReaderSpec) -> Constraints | None:
    """What the text has to obey; that of a sum, whose value alone is constrained, just the spec."""
    if constraints.math:
        return _with_lengths(_SUM, spec.min_length, spec.max_length)
    return _with_lengths(constraints, spec.min_length, spec.max_length)


def _open(
    folder: Path, kind: type[Spec], expected_sha256: str | None
) -> tuple[Spec, str, onnxruntime.InferenceSession]:
    """Spec, SHA-256 of the weights, and a session on exactly the bytes that were hashed."""
    sums = artifacts.read_checksums(folder)
    try:
        text = artifacts.read_file(folder, artifacts.SPEC_FILE, sums).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{folder}: {artifacts.SPEC_FILE} is no UTF-8 text") from error
    spec = artifacts.parse_spec(text)
    if not isinstance(spec, kind):
        raise ArtifactError(f"{folder}: holds {spec.kind}, not {kind.kind}")
    name = artifacts.model_file(spec)
    if expected_sha256 is not None and sums.get(name) != expected_sha256:
        raise ArtifactError(f"{folder}: {name} is not the file that was registered")
    session = _session(artifacts.read_file(folder, name, sums), f"{folder}: {name}")
    return spec, sums[name], session


def _session(model: bytes, where: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    # Widths differ from picture to picture: a memory plan for each would only pile up.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise ArtifactError(f"{where} is no model that ONNX Runtime can load ({error})") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [i.name for i in inputs] != [INPUT] or inputs[0].type != "tensor(uint8)":
        raise ArtifactError(f"{where} must take one uint8 input named {INPUT}")
    if [o.name for o in outputs] != [OUTPUT] or outputs[0].type != "tensor(float)":
        raise ArtifactError(f"{where} must give one float output named {OUTPUT}")
    return session


def _check_classes(session: onnxruntime.InferenceSession, classes: int, spec: ReaderSpec | TypesSpec) -> None:
    given = session.get_outputs()[0].shape[-1]
    # An exporter may leave the last dimension unnamed; then the first reading would tell.
    if isinstance(given, int) and given != classes:
        raise ArtifactError(f"{spec.name}: the network gives {given} classes, its spec names {classes}")


def _run(session: onnxruntime.InferenceSession, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    if len(batch) <= _LARGEST_RUN:
        logits: NDArray[np.float32] = session.run([OUTPUT], {INPUT: batch})[0]
        return logits
    parts = range(0, len(batch), _LARGEST_RUN)
    return np.concatenate([_run(session, batch[start : start + _LARGEST_RUN]) for start in parts])
