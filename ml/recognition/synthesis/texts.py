"""What is written on a drawn captcha: random strings over the alphabets real captchas use, and sums."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ml.recognition.issuers import ALPHABETS, DIGITS, UNAMBIGUOUS, UPPER

Choice = TypeVar("Choice")

_LENGTHS = (
    (0.03, 2),
    (0.05, 3),
    (0.29, 4),
    (0.25, 5),
    (0.20, 6),
    (0.07, 7),
    (0.05, 8),
    (0.02, 9),
    (0.03, 10),
    (0.01, 12),
)


def random_text(rng: np.random.Generator) -> str:
    alphabet = _weighted(rng, ALPHABETS)
    length = _weighted(rng, _LENGTHS)
    text = "".join(alphabet[i] for i in rng.integers(0, len(alphabet), length))
    # Doubled characters are the hard case of CTC (they need a blank between), so draw them more often.
    if length > 1 and rng.random() < 0.2:
        at = int(rng.integers(0, length - 1))
        text = text[:at] + text[at] * 2 + text[at + 2 :]
    return text


def random_sum(rng: np.random.Generator) -> str:
    """An exercise as captchas print it: `33+2=?`, `7x4`, `12-5=`."""
    operator = "+-*/×÷"[rng.choice(6, p=[0.42, 0.24, 0.10, 0.06, 0.12, 0.06])]
    left = int(rng.integers(0, 100 if rng.random() < 0.75 else 10))
    right = int(rng.integers(0, 10 if rng.random() < 0.7 else 100))
    ending = ("=?", "=", "", "?")[rng.choice(4, p=[0.6, 0.2, 0.15, 0.05])]
    return f"{left}{operator}{right}{ending}"


def ripple_text(rng: np.random.Generator) -> str:
    alphabet = UNAMBIGUOUS if rng.random() < 0.85 else UPPER + DIGITS
    length = 5 if rng.random() < 0.6 else int(rng.integers(3, 8))
    return "".join(alphabet[i] for i in rng.integers(0, len(alphabet), length))


def _weighted(rng: np.random.Generator, table: Sequence[tuple[float, Choice]]) -> Choice:
    weights = np.array([weight for weight, _ in table])
    return table[rng.choice(len(table), p=weights / weights.sum())][1]
