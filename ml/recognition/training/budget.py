"""How long a training may take: minutes, or a number of steps where a run has to be repeatable."""

import math
import time


class Budget:
    """Starts to run when it is made."""

    def __init__(self, minutes: float, steps: int | None = None, *, spent: float = 0.0) -> None:
        """`spent`: minutes of it that an earlier process used."""
        self._minutes = minutes
        self._steps = steps
        self._began = time.monotonic() - 60 * spent

    @property
    def minutes(self) -> float:
        """Minutes used up."""
        return (time.monotonic() - self._began) / 60

    def share(self, steps: int) -> float:
        """How much is used up after `steps` steps, 0 to 1."""
        used = self.minutes / self._minutes if self._steps is None else steps / self._steps
        return min(1.0, used)


def cosine(highest: float, lowest: float, share: float) -> float:
    """The learning rate after a share of the run (Loshchilov & Hutter 2017)."""
    return lowest + (highest - lowest) * 0.5 * (1 + math.cos(math.pi * share))
