"""What a caller may know about an answer beforehand."""

from __future__ import annotations

from dataclasses import dataclass

NUMERIC = ("digits", "letters", "alphanumeric", "both")
CASES = ("upper", "lower")
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True)
class Constraints:
    """What the caller knows about the answer; an answer never breaks it.

    `numeric` is "digits" (digits alone), "letters" (letters alone), "alphanumeric" (digits or letters) or
    "both" (these, with at least one of each). `case` is "upper" or "lower". With `math` the picture shows
    a sum, and everything else holds for its value.

    Raises:
        ValueError: an unknown word, or lengths that contradict each other.
    """

    min_length: int | None = None
    max_length: int | None = None
    numeric: str | None = None
    alphabet: frozenset[str] | None = None
    case: str | None = None
    math: bool = False

    def __post_init__(self) -> None:
        if self.numeric not in (None, *NUMERIC):
            raise ValueError(f"numeric must be one of {', '.join(NUMERIC)}, not {self.numeric!r}")
        if self.case not in (None, *CASES):
            raise ValueError(f"case must be upper or lower, not {self.case!r}")
        if self.alphabet is not None:
            # Callers pass a plain string as well.
            object.__setattr__(self, "alphabet", frozenset(self.alphabet))
            if not self.alphabet:
                raise ValueError("the alphabet must hold a character")
        for length in (self.min_length, self.max_length):
            if length is not None and length < 1:
                raise ValueError(f"a length must be at least 1, not {length}")
        if self.min_length and self.max_length and self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")

    def allows_character(self, character: str) -> bool:
        """Whether an answer may hold the character."""
        if self.alphabet is not None and character not in self.alphabet:
            return False
        if self.numeric == "digits" and character not in _DIGITS:
            return False
        if self.numeric == "letters" and not character.isalpha():
            return False
        if self.numeric in ("alphanumeric", "both") and character not in _DIGITS and not character.isalpha():
            return False
        if self.case == "upper":
            return not character.islower()
        return self.case is None or not character.isupper()

    def allows(self, answer: str) -> bool:
        """Whether the answer obeys every constraint."""
        return (
            (self.min_length is None or len(answer) >= self.min_length)
            and (self.max_length is None or len(answer) <= self.max_length)
            and all(map(self.allows_character, answer))
            and (self.numeric != "both" or (not _DIGITS.isdisjoint(answer) and any(map(str.isalpha, answer))))
        )

    def __str__(self) -> str:
        """In words, for the reason of a refusal: ``length 4``, ``digits only``."""
        return ", ".join(filter(None, (self._lengths(), *self._characters()))) or "no constraint"

    def _lengths(self) -> str:
        if self.min_length is None and self.max_length is None:
            return ""
        if self.min_length is None:
            return f"length {self.max_length} or less"
        if self.max_length is None:
            return f"length {self.min_length} or more"
        if self.min_length == self.max_length:
            return f"length {self.min_length}"
        return f"length {self.min_length} to {self.max_length}"

    def _characters(self) -> list[str]:
        parts = []
        if self.numeric is not None:
            parts.append({"digits": "digits only", "letters": "letters only"}.get(self.numeric, self.numeric))
        if self.alphabet is not None:
            parts.append("the alphabet given")
        if self.case is not None:
            parts.append(f"{self.case} case only")
        return parts
