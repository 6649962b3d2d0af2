"""The best CTC path whose text obeys constraints on its length and its characters.

The search goes by the length of the collapsed text, and is vectorised over frames and classes within each
length: to stay in a class is a running maximum along the frames. So a picture costs a few NumPy calls a
character, where a loop over frames costs as many a frame. Whatever no plausible path can use is cut off
beforehand, which leaves about ten classes of seventy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.recognition.charset import BLANK

IMPLAUSIBLE = 11.5
"""A path this many nats (a factor of 100,000) below the best unconstrained one is no reading at all."""
SLIGHT = 4.0
"""Nats below the best unconstrained path within which most constrained ones lie."""

_Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """What the text of a path must be.

    `kinds` gives each class a bit set; a path collects the bits of its characters, and with `required`
    it must have collected all of those. Both are 0 where any characters will do.
    """

    allowed: NDArray[np.intp]
    """Classes that a path may use, the blank first, ascending."""
    min_length: int
    max_length: int | None
    kinds: NDArray[np.intp]
    required: int = 0


def best_path(log_probs: NDArray[np.floating], search: Search) -> list[int] | None:
    """The class of each frame on the best path that obeys `search`; None when none is plausible.

    Args:
        log_probs: (frames, classes), up to a constant in each frame.
    """
    costs = np.asarray(log_probs, np.float64)[:, search.allowed]
    costs -= log_probs.max(axis=1, keepdims=True)
    # A path that stays within a narrow beam is the best of all, and most corrections are slight.
    for beam in (SLIGHT, IMPLAUSIBLE):
        path = _best_within(beam, costs, search)
        if path is not None:
            return path
    return None


def _best_within(beam: float, costs: _Scores, search: Search) -> list[int] | None:
    """The best path that costs less than `beam`, exactly: no such path uses what is cut off here."""
    possible = costs > -beam
    choices = possible.sum(axis=1)
    if not choices.all():
        return None
    # Where two neighbours leave one and the same class, every path goes through the second and pays for it.
    best = costs.argmax(axis=1)
    kept = np.ones(len(costs), np.bool_)
    kept[1:] = (choices[1:] > 1) | (choices[:-1] > 1) | (best[1:] != best[:-1])
    columns = np.flatnonzero(possible.any(axis=0))
    if columns[0] != BLANK:
        columns = np.concatenate(([BLANK], columns))
    classes = search.allowed[columns]
    left = beam + float(costs[~kept].max(axis=1).sum())
    path = _search(left, costs[kept][:, columns], search.kinds[classes] & search.required, search)
    if path is None:
        return None
    frames: list[int] = classes[np.array(path)[kept.cumsum() - 1]].tolist()
    return frames


def _search(beam: float, costs: _Scores, kinds: NDArray[np.intp], search: Search) -> list[int] | None:
    """The columns of the best path that costs less than `beam`; column 0 is the blank."""
    if costs.shape[1] == 1:
        obeys = search.min_length == 0 and not search.required
        return [0] * len(costs) if obeys and costs.sum() > -beam else None
    lattice = _Lattice(costs, kinds, search.required)
    best_score, best_length = -beam, -1
    for length in range(len(costs) + 1 if search.max_length is None else search.max_length + 1):
        score, reach = lattice.extend()
        if length >= search.min_length and score > best_score:
            best_score, best_length = score, length
        if reach <= best_score:
            break
    return None if best_length < 0 else lattice.trace(best_length)


class _Lattice:
    """Scores of the best partial paths, level by level of the length of their text; column 0 is the blank.

    Level `n` holds, for paths whose text has `n` characters so far and each set of collected bits,
    `ends[bits, frame, column]`, the best path that is in that column at that frame, and
    `entries[bits, frame, column]`, the best that enters it there, less the column's running sum.
    """

    def __init__(self, costs: _Scores, kinds: NDArray[np.intp], required: int) -> None:
        self.costs = costs
        self.sums = costs.cumsum(axis=0)
        self.kinds = kinds
        self.columns_of_kind = [(kind, np.flatnonzero(kinds == kind)) for kind in set(kinds.tolist())]
        self.required = required
        self.ends: list[_Scores] = []
        self.entries: list[_Scores] = []

    def extend(self) -> tuple[float, float]:
        """Add the next level: the score of its best whole path, and a bound on those of longer texts."""
        entries = self._first_level() if not self.ends else self._enter_characters(self.ends[-1])
        ends = np.maximum.accumulate(entries, axis=1) + self.sums
        if self.ends:
            entries[:, 1:, 0] = ends[:, :-1, 1:].max(axis=2, initial=-np.inf)
            entries[:, 1:, 0] -= self.sums[:-1, 0]
            ends[:, :, 0] = np.maximum.accumulate(entries[:, :, 0], axis=1) + self.sums[:, 0]
        # A path may begin with a character, past the level of no character.
        reach = float(ends.max()) if self.ends else 0.0
        self.ends.append(ends)
        self.entries.append(entries)
        return float(ends[self.required, -1].max()), reach

    def _first_level(self) -> _Scores:
        """No character yet: blanks from the first frame on."""
        entries = np.full((self.required + 1, *self.costs.shape), -np.inf)
        entries[0, 0, 0] = 0
        return entries

    def _enter_characters(self, before: _Scores) -> _Scores:
        """Each character entered at each frame, from any other column of the level before."""
        # A character after itself needs a blank between: there the second best column precedes it.
        best_two = np.partition(before, -2, axis=2)[:, :-1, -2:]
        best = best_two[:, :, 1:]
        entries = np.empty_like(before)
        entries[:, 0] = -np.inf
        entries[:, 1:] = np.where(before[:, :-1] == best, best_two[:, :, :1], best)
        if len(self.ends) == 1:
            entries[0, 0] = 0
        if self.required:
            entries = self._collect(entries)
        entries[:, 1:] -= self.sums[:-1]
        entries[:, :, 0] = -np.inf
        return entries

    def _collect(self, entries: _Scores) -> _Scores:
        """Move the paths into each character to the bits that they have with it."""
        collected = np.full_like(entries, -np.inf)
        for kind, columns in self.columns_of_kind:
            for bits, scores in enumerate(entries):
                target = collected[bits | kind]
                target[:, columns] = np.maximum(target[:, columns], scores[:, columns])
        return collected

    def trace(self, level: int) -> list[int]:
        """The column of each frame on the best path of `level` characters."""
        frame, bits = len(self.costs) - 1, self.required
        column = int(self.ends[level][bits, frame].argmax())
        path: list[int] = []
        while True:
            entered = int(self.entries[level][bits, : frame + 1, column].argmax())
            path += [column] * (frame + 1 - entered)
            if entered == 0:
                return path[::-1]
            frame = entered - 1
            if column == 0:
                column = 1 + int(self.ends[level][bits, frame, 1:].argmax())
                continue
            level -= 1
            bits, column = self._predecessor(level, frame, bits, column)

    def _predecessor(self, level: int, frame: int, bits: int, column: int) -> tuple[int, int]:
        """Bits and column from which the best path entered `column` at the next frame."""
        kind = int(self.kinds[column])
        scores = self.ends[level][:, frame].copy()
        scores[:, column] = -np.inf
        scores[[state for state in range(len(scores)) if state | kind != bits]] = -np.inf
        state, before = divmod(int(scores.argmax()), scores.shape[1])
        return state, before
