"""Pages in one file: no script, nothing from elsewhere, light and dark, for phones and for paper."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from ml.recognition.audit.forecast import Expected, percent
from ml.recognition.label_checks import ERROR, NOTE, Finding
from ml.recognition.metrics import Interval

# No font, frame, script or picture can come from elsewhere, whatever a label contains.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --soft: #5d6066; --rule: #d5d7db;
  --card: #f4f5f7; --accent: #0a63b0; --band: #0a63b02e; --goal: #a63c06; --plate: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --paper: #16171a; --soft: #a9adb5;
  --rule: #3c3f45; --card: #212328; --accent: #6fb4f5; --band: #6fb4f538; --goal: #f0a070; --plate: #fff } }
* { box-sizing: border-box }
body { font: 1rem/1.55 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 46rem;
  color: var(--ink); background: var(--paper); overflow-wrap: break-word }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem }
.lead { font-size: 1.15rem; border-left: .25rem solid var(--accent); padding-left: .8rem }
.soft, figcaption, footer { color: var(--soft); font-size: .9rem }
.notice { background: var(--card); border-radius: .4rem; padding: .6rem .8rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--rule) }
td.n, th.n { text-align: right; white-space: nowrap }
svg.plot { width: 100%; max-width: 36rem; height: auto; display: block }
svg text { font-size: 12px; fill: var(--ink) } svg .soft { fill: var(--soft) }
svg .rule { stroke: var(--rule) } svg .line { stroke: var(--accent); fill: none; stroke-width: 2 }
svg .band { fill: var(--band) } svg .mark { fill: var(--accent) } svg .whisker { stroke: var(--accent) }
svg .goal { stroke: var(--goal); stroke-dasharray: 5 4 }
svg .none { stroke: var(--soft); stroke-dasharray: 2 4 }
svg text.goal { fill: var(--goal); stroke: none }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .7rem;
  padding: 0; margin: .7rem 0 }
figure { margin: 0; background: var(--card); border-radius: .4rem; padding: .5rem; break-inside: avoid }
img { display: block; max-width: 100%; height: auto; background: var(--plate); border-radius: .2rem }
code { font-family: ui-monospace, monospace } b.read { font-family: ui-monospace, monospace }
.defence { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; gap: .2rem .9rem; padding: .6rem 0;
  border-bottom: 1px solid var(--rule); break-inside: avoid; align-items: center }
.defence svg { width: 100%; height: .8rem; display: block } .bar { fill: var(--accent) }
.defence .ground { fill: var(--rule) } .defence .whisker { stroke: var(--ink); stroke-width: 1 }
@media (max-width: 30rem) { .defence { grid-template-columns: 1fr }
  table { font-size: .85rem } td, th { padding-right: .45rem } }
@media print { :root { --ink: #000; --paper: #fff; --soft: #444; --card: #fff; --rule: #bbb;
  --accent: #0a4f8f; --band: #0a4f8f26; --goal: #8a3000 }
  body { max-width: none; padding: 0; font-size: 10.5pt }
  figure, .notice { border: 1px solid var(--rule) } h2 { break-after: avoid } }
"""
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 280, 52, 14, 14, 40


@dataclass(frozen=True)
class Spot:
    """A measured point of a plot: `x`, the share and its interval."""

    x: float
    share: Interval


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `title` is text, `body` are pieces of HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def picture(png: bytes, caption: str, alt: str) -> str:
    """A figure; `caption` is HTML, `alt` text."""
    with Image.open(io.BytesIO(png)) as image:
        width, height = image.size
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(alt)}" width="{width}" '
        f'height="{height}"><figcaption>{caption}</figcaption></figure>'
    )


def pictures(figures: Iterable[str]) -> str:
    return f'<div class="pictures">{"".join(figures)}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Text alone; all columns but the first hold numbers."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if index else ''}>{escape(cell)}</{tag}>" for index, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells("th", head)}</tr>{body}</table></div>'


def items(lines: Iterable[str]) -> str:
    """A list of text lines."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def findings_list(findings: Sequence[Finding]) -> list[str]:
    """A section on what is wrong with the labels; nothing where nothing is."""
    if not findings:
        return []
    words = {ERROR: "Error: ", NOTE: "Note: "}
    lines = [words.get(finding.level, "Warning: ") + str(finding) for finding in findings]
    return ["<h2>What was found in the images and labels</h2>", items(lines)]


def share(interval: Interval) -> str:
    """``98.5 % (197 of 200)``."""
    return f"{interval['value'] * 100:.1f} % ({interval['correct']} of {interval['n']})"


def bounds(interval: Interval) -> str:
    return f"{interval['low'] * 100:.1f} to {interval['high'] * 100:.1f} %"


def bar(interval: Interval) -> str:
    """A share as a bar with its 95 % interval, as wide as there is room."""
    low, high, value = interval["low"] * 100, interval["high"] * 100, interval["value"] * 100
    return (
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="ground" width="100" height="8"/>'
        f'<rect class="bar" width="{value:.1f}" height="8"/>'
        '<line class="whisker" vector-effect="non-scaling-stroke" y1="4" y2="4" '
        f'x1="{low:.1f}" x2="{high:.1f}"/>'
        "</svg>"
    )


def curve_plot(
    spots: Sequence[Spot],
    fitted: Sequence[Expected] = (),
    goal: float | None = None,
    untrained: Interval | None = None,
) -> str:
    """Exact match over the number of labels, on a logarithmic axis, with 95 % intervals."""
    xs = [spot.x for spot in spots] + [expected.labels for expected in fitted]
    first, last = min(xs), max(max(xs), min(xs) * 2)
    span = math.log(last / first)

    def across(x: float) -> float:
        return _LEFT + 8 + (_WIDTH - _LEFT - _RIGHT - 16) * math.log(x / first) / span

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value)

    marks = [_grid(down)]
    marks += [
        f'<text class="soft" x="{across(x):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{x:,}</text>'
        f'<path class="rule" d="M{across(x):.1f} {down(0):.1f}v4"/>'
        for x in _ticks(first, last)
    ]
    if fitted:
        upper = [f"{across(e.labels):.1f},{down(e.high):.1f}" for e in fitted]
        lower = [f"{across(e.labels):.1f},{down(e.low):.1f}" for e in reversed(fitted)]
        marks.append(f'<polygon class="band" points="{" ".join([*upper, *lower])}"/>')
        middle = " ".join(f"{across(e.labels):.1f},{down(e.value):.1f}" for e in fitted)
        marks.append(f'<polyline class="line" points="{middle}"/>')
    if untrained is not None:
        marks.append(_level(down(untrained["value"]), "none", "soft", "no label", left=False))
    if goal is not None:
        marks.append(_level(down(goal), "goal", "goal", f"goal {percent(goal)}", left=True))
    for spot in spots:
        x = across(spot.x)
        low, high = down(spot.share["low"]), down(spot.share["high"])
        marks.append(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        marks.append(f'<circle class="mark" cx="{x:.1f}" cy="{down(spot.share["value"]):.1f}" r="4"/>')
    marks.append(f'<text class="soft" x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle">labels</text>')
    label = f"Exact match from {first:,.0f} to {max(spot.x for spot in spots):,.0f} labels"
    box = f'class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}"'
    return f"<svg {box}>{''.join(marks)}</svg>"


def _grid(down: Callable[[float], float]) -> str:
    lines = []
    for step in range(0, 101, 20):
        y = down(step / 100)
        lines.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="soft" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{step} %</text>')
    return "".join(lines)


def _level(y: float, line: str, text: str, words: str, *, left: bool) -> str:
    x, anchor = (_LEFT + 6, "start") if left else (_WIDTH - _RIGHT - 4, "end")
    beside = y + 14 if y + 14 < _HEIGHT - _BOTTOM else y - 5
    return (
        f'<line class="{line}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="{text}" x="{x}" y="{beside:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _ticks(first: float, last: float) -> list[int]:
    """1, 2 and 5 times powers of ten; powers alone where that is too much."""
    exponents = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = [f * 10**e for e in exponents if e >= 0 for f in factors if first <= f * 10**e <= last]
        if len(ticks) <= 7:
            break
    return ticks or [round(first)]
