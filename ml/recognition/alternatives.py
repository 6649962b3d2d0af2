"""What else each character of a text may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.decoding import Scores, text_probability

MOST = 3
_SEEN = 1e-4
"""A class that no frame gives more is no candidate; on a clear image that leaves about ten of seventy."""

Alternatives = tuple[tuple[tuple[str, float], ...], ...]


def alternatives(probabilities: Scores, labels: Sequence[int], alphabet: Alphabet) -> Alternatives:
    """For each character the best others with their share, the likeliest first.

    The share of a character at a place is the CTC probability of the text with it, over the sum of those of
    all candidates at that place: how likely it is given that all the others are right.

    Args:
        probabilities: (frames, alphabet.size), each frame summing to 1.
        labels: the classes of the text.
    """
    candidates = [int(index) for index in np.flatnonzero(probabilities.max(axis=0) > _SEEN) if index != BLANK]
    found = []
    for place, own in enumerate(labels):
        changed = list(labels)
        likely: dict[int, float] = {}
        for candidate in {own, *candidates}:
            changed[place] = candidate
            likely[candidate] = text_probability(probabilities, changed)
        total = sum(likely.values()) or 1.0
        shares = ((share / total, index) for index, share in likely.items() if index != own)
        others = sorted(shares, reverse=True)
        found.append(tuple((alphabet.decode([index]), share) for share, index in others[:MOST] if share > 0))
    return tuple(found)
