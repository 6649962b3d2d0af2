"""Bar charts as figures for an SVG of a template: no script draws them, and the policy needs no exception."""

from collections.abc import Sequence
from dataclasses import dataclass

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
