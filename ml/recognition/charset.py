"""Alphabets of the readers and their coding for CTC. The one place that knows where the blank is."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""Index of the CTC blank in every network's output; character ``i`` of an alphabet is class ``i + 1``."""


@dataclass(frozen=True)
class Alphabet:
    """The characters a reader can write, in the order of its output classes.

    Raises:
        ValueError: when a character occurs twice.
    """

    characters: str

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters):
            twice = sorted({c for c in self.characters if self.characters.count(c) > 1})
            raise ValueError(f"the alphabet holds {', '.join(map(repr, twice))} more than once")

    @property
    def size(self) -> int:
        """Number of classes, the blank included."""
        return len(self.characters) + 1

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Class index of each character."""
        return {character: i for i, character in enumerate(self.characters, start=BLANK + 1)}

    def encode(self, text: str) -> list[int]:
        """Class indices of `text`, without blanks.

        Raises:
            ValueError: naming the first character that the alphabet lacks.
        """
        try:
            return [self.index[character] for character in text]
        except KeyError as error:
            raise ValueError(
                f"{error.args[0]!r} in {text!r} is not in the alphabet {self.characters!r}"
            ) from None

    def decode(self, indices: Iterable[int]) -> str:
        """The text of class indices that hold no blank (collapsing a CTC path is decoding's business).

        Raises:
            ValueError: when an index is the blank or out of range.
        """
        text = []
        for index in indices:
            if not BLANK < index < self.size:
                raise ValueError(f"class {index} is no character (characters are 1 to {self.size - 1})")
            text.append(self.characters[index - 1])
        return "".join(text)

    def mask(self, allowed: Iterable[str]) -> NDArray[np.bool_]:
        """Which classes spell a character of `allowed`: (size,) bool; the blank is always True."""
        allowed = frozenset(allowed)
        return np.array([True, *(character in allowed for character in self.characters)])


GENERAL_ALPHABET = Alphabet(string.digits + string.ascii_uppercase + string.ascii_lowercase + "+-*/=?×÷")
"""What the general reader writes: 70 characters, digits, upper case, lower case, then arithmetic."""
