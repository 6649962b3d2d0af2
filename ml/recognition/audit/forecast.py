"""How many more labels a goal takes, from the errors measured at a few counts of labels.

The model: the odds of an error fall as a power of the number of labels, down to a floor,
error(n) = c + (1 - c) σ(a - b ln n). Where errors are rare that is the power law a·n^-b + c of learning
curves (Hestness et al. 2017). Every (a, b, c) of a grid is weighted by the binomial likelihood of what was
measured, so no error at all is as good a measurement as some; the forecast and its interval are quantiles
of the weighted grid. Where the points scatter more than test images explain, as trainings do, the weights
are flattened by the dispersion (Pearson's χ² over its degrees of freedom).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.recognition.metrics import interval

FEWEST_COUNTS = 3
HORIZON = 20
"""Nothing is forecast beyond this many times the most labels that were measured."""
INTERVAL = (0.1, 0.5, 0.9)
"""Low end, middle and high end: an interval of 80 %."""

_LEVELS = np.linspace(-10.0, 6.0, 81)
_SLOPES = np.linspace(0.0, 3.0, 61)
_FLOORS = np.array([0.0, *np.geomspace(0.0005, 0.3, 11)])
_FLOOR_PRIOR = np.array([0.5, *[0.5 / 11] * 11])
_MOST_DISPERSION = 10.0
_NEGLIGIBLE = 1e-7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Exact match at one count of labels: `correct` of `n` test images, the mean over draws."""

    labels: int
    correct: float
    n: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True)
class Expected:
    """Exact match expected at a count of labels, with its 80 % interval."""

    labels: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """Labels in all for `goal`; `status` is reached, too_short, too_flat or forecast.

    Of the interval's ends `high` is None when it lies beyond the horizon; all three are None when there is
    no forecast. `curve` is the fitted curve with its band, empty when the measurement is too short.
    """

    status: str
    goal: float
    line: str
    labels: int | None = None
    low: int | None = None
    high: int | None = None
    curve: tuple[Expected, ...] = ()


def forecast(points: Sequence[Measured], goal: float) -> Forecast:
    """What the points say about a goal (exact match, above 0 and below 1)."""
    if not 0 < goal < 1:
        raise ValueError(f"the goal is a share between 0 and 1, not {goal}")
    points = sorted((point for point in points if point.n), key=lambda point: point.labels)
    fitted = _Fit(points) if len(points) >= FEWEST_COUNTS else None
    curve = () if fitted is None else fitted.curve(points[0].labels, 2.5 * points[-1].labels)
    if points and points[-1].accuracy >= goal:
        return Forecast("reached", goal, _reached(points, goal), curve=curve)
    if fitted is None:
        line = (
            f"Too short for a forecast of {percent(goal)}: {len(points)} counts of labels were measured, "
            f"{FEWEST_COUNTS} are needed."
        )
        return Forecast("too_short", goal, line)
    most = points[-1].labels
    low, middle, high = fitted.labels_for(goal)
    if middle > HORIZON * most:
        line = (
            f"Too flat for a forecast of {percent(goal)}: at this slope more than {HORIZON * most:,} labels "
            f"would be needed, {HORIZON} times what was measured. Labels alone will hardly do it."
        )
        return Forecast("too_flat", goal, line, curve=curve)
    needed = _round_up(max(middle, most + 1))
    lowest = _round_up(max(low, most + 1))
    highest = None if high > HORIZON * most else _round_up(max(high, most + 1))
    until = f"more than {(HORIZON - 1) * most:,}" if highest is None else f"{highest - most:,}"
    line = (
        f"About {needed - most:,} more labels for {percent(goal)} "
        f"(80 % interval {lowest - most:,} to {until}): {needed:,} in all."
    )
    curve = fitted.curve(points[0].labels, min(1.3 * max(needed, 2 * most), HORIZON * most))
    return Forecast("forecast", goal, line, needed, lowest, highest, curve)


def percent(share: float) -> str:
    """``99 %``, ``99.5 %``."""
    return f"{share * 100:.4g} %"


class _Fit:
    """The weighted grid of curves for some points."""

    def __init__(self, points: Sequence[Measured]) -> None:
        labels = np.array([point.labels for point in points], float)
        self._reference = float(np.log(labels[0]))
        n = np.array([point.n for point in points], float)
        wrong = n - np.array([point.correct for point in points], float)
        level, slope, floor = (g.ravel() for g in np.meshgrid(_LEVELS, _SLOPES, _FLOORS, indexing="ij"))
        prior = np.log(np.tile(_FLOOR_PRIOR, len(_LEVELS) * len(_SLOPES)))
        errors = _errors(level, slope, floor, np.log(labels) - self._reference)
        likelihood = np.log(errors) @ wrong + np.log1p(-errors) @ (n - wrong)
        best = errors[int(likelihood.argmax())]
        freedom = len(points) - 3
        dispersion = 1.0
        if freedom > 0:
            chi_squared = float((((wrong - n * best) ** 2) / (n * best * (1 - best))).sum())
            dispersion = min(max(chi_squared / freedom, 1.0), _MOST_DISPERSION)
        weight = np.exp((likelihood - likelihood.max()) / dispersion + prior)
        kept = weight > _NEGLIGIBLE * weight.max()
        self._level, self._slope, self._floor = level[kept], slope[kept], floor[kept]
        self._weight = weight[kept] / weight[kept].sum()

    def labels_for(self, goal: float) -> tuple[float, float, float]:
        """Quantiles of the labels at which the error is down to 1 - `goal`; infinite where it never is."""
        above_floor = (1 - goal - self._floor) / (1 - self._floor)
        needed = np.full(len(self._level), np.inf)
        can = (above_floor > 0) & (self._slope > 0)
        wanted = np.log(above_floor[can] / (1 - above_floor[can]))
        exponent = (self._level[can] - wanted) / self._slope[can] + self._reference
        needed[can] = np.exp(np.minimum(exponent, 50.0))
        low, middle, high = self._quantiles(needed)
        return low, middle, high

    def curve(self, first: float, last: float, steps: int = 40) -> tuple[Expected, ...]:
        expected = []
        for labels in np.geomspace(first, max(last, first * 1.01), steps):
            at = np.array([math.log(labels) - self._reference])
            errors = _errors(self._level, self._slope, self._floor, at)[:, 0]
            low, middle, high = self._quantiles(errors)
            expected.append(Expected(round(float(labels), 1), 1 - middle, 1 - high, 1 - low))
        return tuple(expected)

    def _quantiles(self, values: Floats) -> tuple[float, ...]:
        order = np.argsort(values)
        cumulated = np.cumsum(self._weight[order])
        places = np.searchsorted(cumulated, INTERVAL)
        return tuple(float(values[order[min(place, len(order) - 1)]]) for place in places)


def _errors(level: Floats, slope: Floats, floor: Floats, log_labels: Floats) -> Floats:
    """(curves, counts): the error of each curve at each count, kept off 0 and 1."""
    odds = level[:, None] - slope[:, None] * log_labels[None, :]
    errors = floor[:, None] + (1 - floor[:, None]) / (1 + np.exp(-odds))
    return np.clip(errors, 1e-6, 1 - 1e-6)


def _reached(points: Sequence[Measured], goal: float) -> str:
    """Where the goal is reached for good, and whether the test images prove it."""
    first = points[-1]
    for point in reversed(points):
        if point.accuracy < goal:
            break
        first = point
    share = interval(round(first.correct), first.n)
    line = (
        f"{percent(goal)} is reached: {percent(first.accuracy)} of {first.n} test images "
        f"with {first.labels:,} labels"
    )
    if share["low"] >= goal:
        return f"{line}, and their 95 % interval begins above it."
    return f"{line}; their 95 % interval begins at {percent(share['low'])}, so more images would prove it."


def _round_up(labels: float) -> int:
    """To two digits, upwards: more of them would be a promise."""
    unit = 10 ** max(0, math.floor(math.log10(labels)) - 1)
    return math.ceil(labels / unit) * unit
