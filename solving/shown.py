"""A reading as the pages show it: the answer, each character, the type, the time, and the raw JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from ml.recognition.alternatives import Alternatives
from ml.recognition.decoding import CharacterReading
from ml.recognition.pipeline import Recognition, Recognizer, Unsolvable
from solving.history import describe
from solving.overlay import Mark, Overlay, overlay
from solving.services import Receipt

SURE, LESS = 0.95, 0.7
"""From which confidence on a character is shown as sure, and as less sure; below it is unsure."""
ADVICE = {
    "not_a_captcha": "Send the picture of the captcha alone, without the page around it.",
    "low_confidence": "Ask for a fresh captcha, or say what you know of it: type, length, characters.",
    "constraints": "Check what you said about it: length, characters, case.",
    "arithmetic": "It was taken for a sum. If it is none, say so by naming another type.",
    "no_reader": "Choose one of the types that there is a reader for.",
}
"""What to do about each way of being refused."""


@dataclass(frozen=True)
class Character:
    char: str
    confidence: float
    others: tuple[tuple[str, float], ...] = ()
    """What else it may be, each with its share."""

    @property
    def sureness(self) -> str:
        if self.confidence >= SURE:
            return "sure"
        return "less" if self.confidence >= LESS else "unsure"


@dataclass(frozen=True)
class Shown:
    """What became of one image. `stages` are milliseconds by name; empty of a read that was refused."""

    answer: str = ""
    text: str = ""
    confidence: float | None = None
    characters: tuple[Character, ...] = ()
    captcha_type: str = ""
    type_confidence: float | None = None
    model_version: str = ""
    stages: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    advice: str = ""
    raw: str = ""
    receipt: Receipt | None = None
    overlay: Overlay | None = None

    @property
    def rows(self) -> list[tuple[Character, Mark | None]]:
        """Each character with its columns, where they are known."""
        marks = self.overlay.marks if self.overlay else ()
        return list(zip_longest(self.characters, marks[: len(self.characters)]))

    @property
    def total_ms(self) -> float:
        return sum(milliseconds for _, milliseconds in self.stages)


def of_recognition(
    recognition: Recognition,
    *,
    image: bytes,
    recognizer: Recognizer,
    raw: object = None,
    receipt: Receipt | None = None,
) -> Shown:
    """With what is worked out for a page alone: what else each character may be, and where it was seen.

    `raw` is what the API would answer, or else nothing but the reading itself.
    """
    told = raw if raw is not None else _told(recognition)
    characters = _characters(recognition.characters, recognizer.alternatives(image, recognition))
    places = recognizer.columns(image, recognition)
    return Shown(
        answer=recognition.answer,
        text=recognition.text,
        confidence=recognition.confidence,
        characters=characters,
        captcha_type=recognition.captcha_type,
        type_confidence=recognition.type_confidence,
        model_version=recognition.model_version,
        stages=tuple(recognition.timings_ms.items()),
        raw=json.dumps(told, indent=2, ensure_ascii=False),
        receipt=receipt,
        overlay=overlay(image, [(one.char, one.sureness) for one in characters], places),
    )


def of_refusal(refusal: Unsolvable) -> Shown:
    return Shown(reason=refusal.reason, advice=ADVICE.get(refusal.code, ""))


def of_receipt(receipt: Receipt, *, image: bytes, recognizer: Recognizer) -> Shown:
    """A solve of `image` that has just been made, which still knows what its reader told."""
    solve = receipt.solve
    raw = describe(solve) | {"balance": receipt.balance}
    if solve.recognition is not None:
        return of_recognition(solve.recognition, image=image, recognizer=recognizer, raw=raw, receipt=receipt)
    return Shown(reason=solve.reason, advice=ADVICE.get(solve.reason_code, ""), receipt=receipt)


def _characters(characters: Sequence[CharacterReading], others: Alternatives) -> tuple[Character, ...]:
    told = others if len(others) == len(characters) else ((),) * len(characters)
    return tuple(
        Character(one.char, one.confidence, other) for one, other in zip(characters, told, strict=True)
    )


def _told(recognition: Recognition) -> dict[str, object]:
    return {
        "text": recognition.text,
        "answer": recognition.answer,
        "captcha_type": recognition.captcha_type,
        "confidence": recognition.confidence,
        "characters": [
            {"char": one.char, "confidence": round(one.confidence, 4)} for one in recognition.characters
        ],
        "model_version": recognition.model_version,
        "elapsed_ms": round(sum(recognition.timings_ms.values()), 3),
    }
