"""Charts as figures for an SVG of a template: no script draws them, and the policy needs no exception."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.recognition.audit.curve import Point

WIDTH, HEIGHT, TOP, BOTTOM = 720, 160, 14, 18
"""Of the SVG's view box; TOP and BOTTOM are for the highest figure and the labels."""


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    y: float
    height: float
    second_y: float
    second_height: float
    label: str
    title: str


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT
    base: int = HEIGHT - BOTTOM
    top: int = TOP


def stacked_bars(rows: Sequence[tuple[str, int, int]], *, first: str, second: str) -> Chart:
    """A bar for each (label, number, second number), the second on top of the first; some get a label."""
    highest = max((one + two for _, one, two in rows), default=0)
    step = WIDTH / max(1, len(rows))
    scale = (HEIGHT - TOP - BOTTOM) / max(1, highest)
    every = max(1, round(len(rows) / 8))
    base = HEIGHT - BOTTOM
    bars = []
    for number, (label, one, two) in enumerate(rows):
        low, high = one * scale, two * scale
        bars.append(
            Bar(
                x=round(number * step + step * 0.1, 1),
                width=round(step * 0.8, 1),
                y=round(base - low, 1),
                height=round(low, 1),
                second_y=round(base - low - high, 1),
                second_height=round(high, 1),
                label=label if number % every == 0 else "",
                title=f"{label}: {one} {first}, {two} {second}",
            )
        )
    return Chart(tuple(bars), highest)


CURVE_WIDTH, CURVE_HEIGHT, CURVE_LEFT, CURVE_BOTTOM, CURVE_TOP, CURVE_RIGHT = 560, 260, 48, 34, 12, 16


@dataclass(frozen=True)
class CurveSpot:
    """A measured share at `y`, with the ends of its interval at `low_y` and `high_y`."""

    x: float
    y: float
    low_y: float
    high_y: float
    title: str


@dataclass(frozen=True)
class CurveChart:
    spots: tuple[CurveSpot, ...]
    labels: tuple[tuple[float, str], ...]
    shares: tuple[tuple[float, str], ...]
    width: int = CURVE_WIDTH
    height: int = CURVE_HEIGHT
    left: int = CURVE_LEFT
    right: int = CURVE_WIDTH - CURVE_RIGHT
    base: int = CURVE_HEIGHT - CURVE_BOTTOM
    middle: int = (CURVE_LEFT + CURVE_WIDTH - CURVE_RIGHT) // 2


def curve_chart(points: Sequence[Point]) -> CurveChart:
    """Exact match over labels, these on a logarithmic scale, from the lowest end of an interval upwards."""
    first, last = math.log(points[0].labels), math.log(points[-1].labels)
    lowest = math.floor(min(point.exact_match["low"] for point in points) * 10) / 10
    base, space = CURVE_HEIGHT - CURVE_BOTTOM, CURVE_WIDTH - CURVE_LEFT - CURVE_RIGHT

    def across(labels: int) -> float:
        share = (math.log(labels) - first) / (last - first) if last > first else 0.5
        return round(CURVE_LEFT + share * space, 1)

    def up(share: float) -> float:
        return round(base - (share - lowest) / (1 - lowest) * (base - CURVE_TOP), 1)

    spots = [
        CurveSpot(
            x=across(point.labels),
            y=up(point.exact_match["value"]),
            low_y=up(point.exact_match["low"]),
            high_y=up(point.exact_match["high"]),
            title=f"{point.labels} labels: {point.exact_match['value'] * 100:.1f} %",
        )
        for point in points
    ]
    counts = sorted({point.labels for point in points})
    steps = [lowest + (1 - lowest) * step / 4 for step in range(5)]
    return CurveChart(
        spots=tuple(spots),
        labels=tuple((across(count), f"{count:,}") for count in counts),
        shares=tuple((up(share), f"{share * 100:.0f} %") for share in steps),
    )


CELL, MATRIX_EDGE, MOST_PAIRS = 30, 34, 30
NOTHING = "∅"
"""Stands for a character left out, or made up."""


@dataclass(frozen=True)
class Cell:
    x: int
    y: int
    count: int
    shade: float
    title: str


@dataclass(frozen=True)
class Matrix:
    """What is written against what was read; `rows` and `columns` are (place, character).

    The longer of the two lies across: `written_across` says whether that is what is written.
    """

    cells: tuple[Cell, ...]
    rows: tuple[tuple[int, str], ...]
    columns: tuple[tuple[int, str], ...]
    written_across: bool
    width: int
    height: int
    pairs: tuple[tuple[str, str, int], ...]
    more: int
    cell: int = CELL
    edge: int = MATRIX_EDGE


def confusion_matrix(confusions: Sequence[Mapping[str, Any]]) -> Matrix | None:
    """The most frequent pairs of (truth, read, count), most first; None where nothing was confused."""
    pairs = [(one["truth"] or NOTHING, one["read"] or NOTHING, int(one["count"])) for one in confusions]
    shown = pairs[:MOST_PAIRS]
    if not shown:
        return None
    down = sorted({truth for truth, _, _ in shown}, key=_nothing_last)
    across = sorted({read for _, read, _ in shown}, key=_nothing_last)
    written_across = len(down) > len(across)
    if written_across:
        down, across = across, down
    most = shown[0][2]
    cells = [
        Cell(
            x=MATRIX_EDGE + across.index(truth if written_across else read) * CELL,
            y=MATRIX_EDGE + down.index(read if written_across else truth) * CELL,
            count=count,
            shade=round(0.12 + 0.33 * count / most, 2),
            title=f"{truth} read as {read}: {count}",
        )
        for truth, read, count in shown
    ]
    return Matrix(
        cells=tuple(cells),
        rows=tuple((MATRIX_EDGE + place * CELL, character) for place, character in enumerate(down)),
        columns=tuple((MATRIX_EDGE + place * CELL, character) for place, character in enumerate(across)),
        written_across=written_across,
        width=MATRIX_EDGE + len(across) * CELL + 2,
        height=MATRIX_EDGE + len(down) * CELL + 2,
        pairs=tuple(shown),
        more=len(pairs) - len(shown),
    )


def _nothing_last(character: str) -> tuple[bool, str]:
    return character == NOTHING, character
