"""Splicing: new captchas of a type from two labelled ones, cut between characters.

A handful of labels shows each character a few times only and always beside the same neighbours. Where the
network already reads an image, its own alignment says where the characters stand; the left part of one and
the right part of another make a text that nobody had to label, in exactly the type's style.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.networks import FRAME_WIDTH
from ml.recognition.training.batches import Pair

_LONGEST_STRETCH = 0.22
"""How much narrower or wider than the type a spliced image may come out before it is fitted."""


@dataclass(frozen=True)
class Aligned:
    """An image (height, width, 3) uint8, its text, and the column before each but the first character."""

    image: np.ndarray
    text: str
    cuts: tuple[int, ...]


def align(pair: Pair, logits: np.ndarray, alphabet: Alphabet) -> Aligned | None:
    """The image with its cuts; None where the best path of `logits` (frames, classes) is not its text."""
    image, text = pair
    path = logits.argmax(-1)
    starts = [
        index
        for index, label in enumerate(path)
        if label != BLANK and (index == 0 or label != path[index - 1])
    ]
    if alphabet.decode([int(path[index]) for index in starts]) != text or len(text) < 2:
        return None
    peaks = []
    for start in starts:
        end = start
        while end + 1 < len(path) and path[end + 1] == path[start]:
            end += 1
        peaks.append((start + end + 1) / 2 * FRAME_WIDTH)
    cuts = [round((left + right) / 2) for left, right in pairwise(peaks)]
    return Aligned(image, text, tuple(cuts))


class Splicer:
    """Draws spliced pairs from aligned images of one width."""

    def __init__(self, aligned: Sequence[Aligned], lengths: frozenset[int]) -> None:
        self._lengths = lengths
        self._by_width: dict[int, list[Aligned]] = {}
        for item in aligned:
            self._by_width.setdefault(item.image.shape[1], []).append(item)

    def pairs(self, rng: np.random.Generator, width: int, count: int) -> list[Pair]:
        """At most `count` pairs of that width; fewer where images are too few or fit badly."""
        group = self._by_width.get(width, [])
        made: list[Pair] = []
        if len(group) < 4:
            return made
        for _ in range(3 * count):
            left, right = (group[int(i)] for i in rng.integers(0, len(group), 2))
            pair = self._spliced(rng, left, right, width)
            if pair is not None:
                made.append(pair)
            if len(made) == count:
                break
        return made

    def _spliced(self, rng: np.random.Generator, left: Aligned, right: Aligned, width: int) -> Pair | None:
        first = int(rng.integers(0, len(left.cuts)))
        # The same place in both where lengths are one, so that what stands there keeps its place.
        second = first if len(self._lengths) == 1 else int(rng.integers(0, len(right.cuts)))
        if second >= len(right.cuts):
            return None
        text = left.text[: first + 1] + right.text[second + 1 :]
        if len(text) not in self._lengths:
            return None
        image = np.concatenate([left.image[:, : left.cuts[first]], right.image[:, right.cuts[second] :]], 1)
        if abs(image.shape[1] / width - 1) > _LONGEST_STRETCH:
            return None
        if image.shape[1] != width:
            fitted = Image.fromarray(image).resize((width, image.shape[0]), Image.Resampling.BILINEAR)
            image = np.asarray(fitted)
        return image, text
