"""The page of `audit`: how strong a captcha is, for its owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from ml.recognition.audit.advice import FOR_OWNERS, advise, headline
from ml.recognition.audit.curve import Curve
from ml.recognition.audit.forecast import percent
from ml.recognition.audit.learning_page import curve_section, image_png, made_section
from ml.recognition.audit.page import (
    bar,
    bounds,
    findings_list,
    items,
    page,
    picture,
    pictures,
    share,
    table,
)
from ml.recognition.audit.strength import Ablation, Audit, Kind, Untrained, as_png, drawn_example
from ml.recognition.label_checks import Finding
from ml.recognition.metrics import Interval
from ml.recognition.synthesis.defences import DEFENCES

SHOWN = 6
"""Pictures of the owner's that are shown of each sort: read right, and read wrong."""


def audit_page(audit: Audit, kind: Kind, findings: Sequence[Finding], made: Mapping[str, str]) -> str:
    """The whole page. Raises OSError where an image of the owner's cannot be read any more."""
    title = f"How strong is {audit.slug}?"
    untrained = audit.untrained
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="notice">{escape(FOR_OWNERS)}</p>',
        f'<p class="lead">{escape(headline(audit))}</p>',
        "<h2>What to do</h2>",
        items(advise(audit)),
        "<h2>Read without any label</h2>",
        "<p>The general reader was trained on drawn captchas alone and never saw one of these.</p>",
        table(
            ["what it was told", "exact match", "95 % interval"],
            [
                ["nothing", share(untrained.no_hints), bounds(untrained.no_hints)],
                [f"{untrained.hints}", share(untrained.hinted), bounds(untrained.hinted)],
            ],
        ),
        f'<p class="soft">n = {audit.n}. An answer takes {untrained.cpu_ms:.2f} ms of one processor core '
        "(median, from the file's bytes to the text).</p>",
        *_own_pictures(untrained),
        *(_curve(audit.curve) if audit.curve else []),
        *(_defences(audit.ablation, kind) if audit.ablation else []),
        *findings_list(findings),
        *made_section(made),
    ]
    return page(title, body)


def _own_pictures(untrained: Untrained) -> list[str]:
    """Some of the owner's images with what was read of them, right and wrong."""
    right = [read for read in untrained.reads if read.right][:SHOWN]
    wrong = [read for read in untrained.reads if not read.right][:SHOWN]
    figures = []
    for read in [*right, *wrong]:
        verdict = "right" if read.right else f"wrong, it is {read.example.label}"
        caption = f'<b class="read">{escape(read.text or "nothing")}</b> ({escape(verdict)})'
        alt = f"{read.example.label}, read as {read.text or 'nothing'}"
        figures.append(picture(image_png(read.example.path), caption, alt))
    return [pictures(figures)]


def _curve(curve: Curve) -> list[str]:
    section = curve_section(curve, None)
    return ["<h2>Read after labelling some</h2>", *section[1:]]


def _defences(ablation: Ablation, kind: Kind) -> list[str]:
    width, height = ablation.size
    everything = frozenset(DEFENCES)
    rows = [
        _row("no defence", kind, frozenset(), [("", ablation.plain)]),
        *(
            _row(
                f"{worth.defence}: {DEFENCES[worth.defence]}",
                kind,
                frozenset({worth.defence}),
                [("alone", worth.alone), ("all defences but this one", worth.all_but)],
            )
            for worth in ablation.worth
        ),
        _row("all defences", kind, everything, [("", ablation.everything)]),
    ]
    return [
        "<h2>What each defence is worth</h2>",
        f"<p>Captchas were drawn with this type's characters and lengths at {width}×{height} pixels, "
        f"{ablation.plain['n']} for each set of defences, and read by the general reader that was told "
        "characters and lengths. A short bar is a strong defence; the line in it is the 95 % interval. "
        "These are drawings of one sort, not your generator.</p>",
        *rows,
    ]


def _row(title: str, kind: Kind, active: frozenset[str], shares: list[tuple[str, Interval]]) -> str:
    png = as_png(drawn_example(kind, active), widest=200)
    shown = picture(png, escape(title), f"a drawn captcha with {title}")
    bars = []
    for words, measured in shares:
        label = f"{words}: " if words else ""
        value = f"{percent(round(measured['value'], 3))} read"
        interval = bounds(measured)
        bars.append(
            f'<div>{escape(label)}<b>{value}</b> <span class="soft">({interval})</span></div>{bar(measured)}'
        )
    return f'<div class="defence">{shown}<div>{"".join(bars)}</div></div>'
