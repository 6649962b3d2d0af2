"""What may be written on an image of a type, as the labelling page and the import apply it."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

from labeling.models import MAX_TEXT
from ml.models import CaptchaType


class RuleBroken(ValueError):
    """The text cannot stand on an image of this type; the message says why, for the person who typed it."""


@dataclass(frozen=True)
class LabelRules:
    """Alphabet (empty: anything), lengths and case of a type's texts."""

    alphabet: str = ""
    min_length: int | None = None
    max_length: int | None = None
    case_sensitive: bool = False

    @classmethod
    def of(cls, captcha_type: CaptchaType) -> LabelRules:
        return cls(
            alphabet=captcha_type.alphabet,
            min_length=captcha_type.min_length,
            max_length=captcha_type.max_length,
            case_sensitive=captcha_type.case_sensitive,
        )

    def clean(self, text: str) -> str:
        """The text as it is kept: NFC, no spaces around, and in the case of the type.

        Raises:
            RuleBroken: naming the first rule that it breaks.
        """
        cleaned = self.fold(unicodedata.normalize("NFC", text).strip())
        if not cleaned:
            raise RuleBroken("there is no text")
        if len(cleaned) > MAX_TEXT:
            raise RuleBroken(f"longer than {MAX_TEXT} characters")
        unprintable = next((c for c in cleaned if not c.isprintable()), None)
        if unprintable is not None:
            raise RuleBroken(f"U+{ord(unprintable):04X} cannot be printed")
        allowed = {self.fold(character) for character in self.alphabet}
        foreign = next((c for c in cleaned if allowed and c not in allowed), None)
        if foreign is not None:
            raise RuleBroken(f"{foreign} is not in the alphabet {self.alphabet}")
        if self.min_length is not None and len(cleaned) < self.min_length:
            raise RuleBroken(f"{len(cleaned)} of at least {self.min_length} characters")
        if self.max_length is not None and len(cleaned) > self.max_length:
            raise RuleBroken(f"{len(cleaned)} of at most {self.max_length} characters")
        return cleaned

    def fold(self, text: str) -> str:
        """In upper case where case does not count, letter by letter: ß has no capital of one letter."""
        if self.case_sensitive:
            return text
        return "".join(c.upper() if len(c.upper()) == 1 else c for c in text)

    def accepts(self, text: str) -> bool:
        try:
            self.clean(text)
        except RuleBroken:
            return False
        return True

    def describe(self) -> str:
        """The rule in words, as the page shows it."""
        lengths = {
            (True, True): f"{self.min_length} to {self.max_length} characters",
            (True, False): f"at least {self.min_length} characters",
            (False, True): f"at most {self.max_length} characters",
            (False, False): "any length",
        }[(self.min_length is not None, self.max_length is not None)]
        if self.min_length is not None and self.min_length == self.max_length:
            lengths = f"{self.min_length} characters"
        case = "case counts" if self.case_sensitive else "case does not count"
        return f"{lengths} of {self.alphabet or 'any kind'}, {case}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
