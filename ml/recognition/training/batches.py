"""Batches: images of one width together, so that nothing is padded or squashed."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from ml.recognition.ctc import frames_needed
from ml.recognition.networks import FRAME_WIDTH
from ml.recognition.training.augmentation import augment

Pair = tuple[np.ndarray, str]
"""An image (height, width, 3) uint8 and its text."""


def readable(pair: Pair) -> bool:
    """Whether the network has frames enough for the text."""
    image, text = pair
    return frames_needed(text) <= image.shape[1] // FRAME_WIDTH


class Pool:
    """Pairs sorted by width, from which random batches are drawn."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._by_width: dict[int, list[Pair]] = {}
        for pair in pairs:
            self._by_width.setdefault(pair[0].shape[1], []).append(pair)
        self._widths = sorted(self._by_width)
        counts = np.array([len(self._by_width[width]) for width in self._widths], float)
        self._weights = counts / counts.sum() if len(counts) else counts

    def __contains__(self, width: int) -> bool:
        return width in self._by_width

    def batch(
        self,
        rng: np.random.Generator,
        size: int,
        strength: float,
        width: int | None = None,
        restyle: Callable[[np.random.Generator, np.ndarray], np.ndarray] | None = None,
    ) -> tuple[np.ndarray, list[str]]:
        """`size` pairs of one width (`width` if given), augmented: (size, height, width, 3) uint8, texts.

        `restyle` is done to an image before it is augmented. Raises KeyError when there is no pair of that
        width.
        """
        if width is None:
            width = self._widths[rng.choice(len(self._widths), p=self._weights)]
        pairs = self._by_width[width]
        chosen = [pairs[i] for i in rng.integers(0, len(pairs), size)]
        images = [restyle(rng, image) if restyle else image for image, _ in chosen]
        return np.stack([augment(rng, image, strength) for image in images]), [text for _, text in chosen]


Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def in_order(pairs: Sequence[Pair], size: int) -> Iterator[tuple[list[int], np.ndarray]]:
    """Every pair once, in batches of at most `size` and one width: indices, (n, height, width, 3) uint8."""
    by_width: dict[int, list[int]] = {}
    for index, (image, _) in enumerate(pairs):
        by_width.setdefault(image.shape[1], []).append(index)
    for width in sorted(by_width):
        indices = by_width[width]
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            yield chosen, np.stack([pairs[i][0] for i in chosen])
