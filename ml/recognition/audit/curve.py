"""A measured learning curve: exact match on the same test images after training on more and more labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ml.recognition.audit.forecast import Forecast, Measured, forecast
from ml.recognition.metrics import Interval

DEFAULT_COUNTS = (10, 25, 50, 100, 200, 400, 800, 1600, 3200)
_CLEARLY_MORE = 1.2


@dataclass(frozen=True)
class Point:
    """One training on `labels` labels; `seconds` by the clock, `cpu_seconds` of all cores together."""

    labels: int
    draw: int
    exact_match: Interval
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Curve:
    """All trainings; `untrained` is the general reader on the same test images, None without one."""

    points: tuple[Point, ...]
    n_pool: int
    n_test: int
    untrained: Interval | None = None
    skipped: Mapping[int, str] | None = None
    """Counts that could not be trained on, and why."""

    @property
    def measured(self) -> list[Measured]:
        """One point for each count: the mean over draws, which share their test images."""
        by_count: dict[int, list[Point]] = {}
        for point in self.points:
            by_count.setdefault(point.labels, []).append(point)
        return [
            Measured(labels, sum(p.exact_match["correct"] for p in same) / len(same), self.n_test)
            for labels, same in sorted(by_count.items())
        ]

    def forecast(self, goal: float) -> Forecast:
        return forecast(self.measured, goal)

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "n_pool": self.n_pool,
            "n_test": self.n_test,
            "untrained": self.untrained,
            "points": [asdict(point) for point in self.points],
            "skipped": {str(labels): reason for labels, reason in (self.skipped or {}).items()},
        }


@dataclass(frozen=True)
class Suspect:
    """A label that a reader which never saw it reads otherwise, and surely.

    `label_probability` is the CTC probability of the label, `confidence` that of what was read.
    """

    image: str
    data_hash: str
    label: str
    read: str
    confidence: float
    label_probability: float

    @property
    def score(self) -> float:
        return self.confidence - self.label_probability


@dataclass(frozen=True)
class Suspects:
    """Suspects, worst first; `agreement` is how often the readers of the folds read what the label says."""

    suspects: tuple[Suspect, ...]
    folds: int
    agreement: Interval
    least_score: float

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "folds": self.folds,
            "least_score": self.least_score,
            "agreement": self.agreement,
            "suspects": [asdict(suspect) | {"score": suspect.score} for suspect in self.suspects],
        }


def counts_up_to(available: int, usual: Sequence[int] = DEFAULT_COUNTS) -> tuple[int, ...]:
    """The usual counts up to what there is, and all there is where that is clearly more than the last."""
    counts = [count for count in usual if count <= available]
    if not counts or available >= _CLEARLY_MORE * counts[-1]:
        counts.append(available)
    return tuple(counts)
