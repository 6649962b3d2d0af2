"""Which columns of a picture each character of a text was read from.

A CTC network decides in single frames: a character lights up in one or a few of them, near its middle, and
all others say blank. Of all paths that spell the text the likeliest is taken (forced alignment by Viterbi),
and the frames in which it writes a character are that character's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.recognition.charset import BLANK
from ml.recognition.decoding import Scores
from ml.recognition.looks import Look


@dataclass(frozen=True, slots=True)
class Columns:
    """From `left` to `right`, shares of the picture's width between 0 and 1."""

    left: float
    right: float


def frames_of(log_probs: Scores, labels: Sequence[int]) -> list[range]:
    """The frames of each label on the likeliest path that spells them; none where no path does.

    Args:
        log_probs: (frames, classes), each frame normalised.
        labels: the classes of the text, without blanks.
    """
    if not labels:
        return []
    # Blank, label, blank, label, …, blank: a path stands, goes one on, or leaps the blank between two labels.
    states = np.full(2 * len(labels) + 1, BLANK, np.intp)
    states[1::2] = labels
    leaps = np.zeros(len(states), np.bool_)
    leaps[3::2] = states[3::2] != states[1:-2:2]  # a twin needs the blank
    costs = log_probs[:, states]
    best = np.full(len(states), -np.inf)
    best[:2] = costs[0, :2]
    steps: list[NDArray[np.intp]] = []
    for row in costs[1:]:
        one = np.concatenate(([-np.inf], best[:-1]))
        two = np.where(leaps, np.concatenate(([-np.inf, -np.inf], best[:-2])), -np.inf)
        choices = np.stack((best, one, two))
        step = choices.argmax(axis=0)
        best = choices[step, np.arange(len(states))] + row
        steps.append(step)
    state = len(states) - 1 if best[-1] >= best[-2] else len(states) - 2
    if best[state] == -np.inf:
        return []
    path = [state]
    for step in reversed(steps):
        state -= int(step[state])
        path.append(state)
    path.reverse()
    firsts = [path.index(2 * place + 1) for place in range(len(labels))]
    return [range(first, first + path.count(path[first])) for first in firsts]


def columns_of(
    frames: Sequence[range], total: int, look: Look, width: int, height: int
) -> tuple[Columns, ...]:
    """The columns of a picture of `width` × `height` that `frames` of `total` saw under `look`."""

    def share(frame: int) -> float:
        return min(max(look.place(frame / total, width, height), 0.0), 1.0)

    return tuple(Columns(share(one.start), share(one.stop)) for one in frames)
