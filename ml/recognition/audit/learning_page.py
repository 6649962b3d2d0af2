"""The page of `learning_curve`: curve, forecast, seconds, and the labels that are probably wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ml.recognition.audit.curve import Curve, Suspect, Suspects
from ml.recognition.audit.forecast import Forecast, percent
from ml.recognition.audit.page import (
    Spot,
    bounds,
    curve_plot,
    findings_list,
    items,
    page,
    picture,
    pictures,
    share,
    table,
)
from ml.recognition.audit.strength import as_png
from ml.recognition.datasets import Example
from ml.recognition.images import ImageError, open_image
from ml.recognition.label_checks import Finding

SHOWN = 60
"""Suspects shown as pictures; the JSON has all."""


def learning_page(
    slug: str,
    curve: Curve,
    forecast: Forecast,
    suspects: Suspects | None,
    no_suspects: str,
    examples: Sequence[Example],
    findings: Sequence[Finding],
    made: Mapping[str, str],
) -> str:
    """`no_suspects` says why there are none, where `suspects` is None; `made`: how the figures were made."""
    title = f"How many labels does {slug} need?"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(forecast.line)}</p>',
        *curve_section(curve, forecast),
        "<h2>Labels that are probably wrong</h2>",
        *(suspects_section(suspects, examples) if suspects else [f"<p>{escape(no_suspects)}</p>"]),
        *findings_list(findings),
        *made_section(made),
    ]
    return page(title, body)


def curve_section(curve: Curve, forecast: Forecast | None) -> list[str]:
    """The plot with its table; the band is that of the fitted curve."""
    spots = [Spot(point.labels, point.exact_match) for point in curve.points]
    fitted = forecast.curve if forecast else ()
    goal = forecast.goal if forecast else None
    band = " The line is the fitted curve, the band its 80 % interval." if fitted else ""
    drawn = max(point.draw for point in curve.points) > 0
    without = []
    if curve.untrained:
        without = [["no label", share(curve.untrained), bounds(curve.untrained), "–", "–"]]
    rows = [
        [
            f"{point.labels:,}{f', draw {point.draw + 1}' if drawn else ''}",
            share(point.exact_match),
            bounds(point.exact_match),
            f"{point.seconds:.0f}",
            f"{point.cpu_seconds:.0f}",
        ]
        for point in curve.points
    ]
    head = ["labels", "exact match", "95 % interval", "seconds", "CPU s"]
    skipped = [f"{labels} labels were not trained on: {why}" for labels, why in (curve.skipped or {}).items()]
    return [
        "<h2>Exact match over labels</h2>",
        curve_plot(spots, fitted, goal, curve.untrained),
        f'<p class="soft">Exact match of the whole text on the same {curve.n_test} test images, which no '
        f"training saw; bars are 95 % Wilson intervals.{band}</p>",
        table(head, [*without, *rows]),
        *([items(skipped)] if skipped else []),
    ]


def suspects_section(suspects: Suspects, examples: Sequence[Example]) -> list[str]:
    """The pictures of the suspects, surest first."""
    n, found = suspects.agreement["n"], len(suspects.suspects)
    intro = (
        f"Each of the {n} images was read by a reader that was trained without it "
        f"({suspects.folds} folds); {share(suspects.agreement)} agreed with the label."
    )
    if not found:
        return [f"<p>{escape(intro)} No label was read otherwise with confidence.</p>"]
    paths = {(e.data_hash, e.label): e.path for e in examples}
    figures = [_suspect(s, paths[s.data_hash, s.label]) for s in suspects.suspects[:SHOWN]]
    what = "1 image was" if found == 1 else f"{found} images were"
    more = f" The first {SHOWN} are shown." if found > SHOWN else ""
    return [
        f"<p>{escape(intro)}</p>",
        f"<p>{what} surely read otherwise; look at them before you label more.{more}</p>",
        pictures(figures),
    ]


def made_section(made: Mapping[str, str]) -> list[str]:
    """How the figures were made."""
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in made.items())
    return [f'<h2>How this was made</h2><div class="scroll"><table>{rows}</table></div>']


def image_png(path: Path) -> bytes:
    """The owner's image as a small PNG."""
    return as_png(open_image(path.read_bytes()))


def _suspect(suspect: Suspect, path: Path) -> str:
    label, read = (f'<b class="read">{escape(text)}</b>' for text in (suspect.label, suspect.read))
    caption = (
        f"label {label} ({percent(round(suspect.label_probability, 3))})<br>"
        f"read {read} ({percent(round(suspect.confidence, 3))})<br>{escape(suspect.image)}"
    )
    try:
        return picture(image_png(path), caption, f"labelled {suspect.label}, read {suspect.read}")
    except (ImageError, OSError):
        return f"<figure><figcaption>{caption}</figcaption></figure>"
