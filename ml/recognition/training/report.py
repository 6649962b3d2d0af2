"""`report.html`: the figures and the curves of one trained version, in one file without scripts."""

import csv
from html import escape
from pathlib import Path

from ml.recognition.artifacts import ReaderSpec, TypesSpec

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1c1c1e; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top }
svg { width: 100%; height: auto } polyline { fill: none; stroke-width: 2 }
text { font-size: 12px; fill: currentColor } .grid { stroke: #8884 }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #17181a } }
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 800, 240, 50, 24
_COLOURS = ("#0a6ebd", "#c2410c", "#15803d", "#7c3aed", "#b91c1c", "#0f766e")


def write_report(folder: Path, spec: ReaderSpec | TypesSpec) -> None:
    """Write `report.html` from the spec and, where there is one, `training.csv`."""
    sections = [_figures(spec)]
    log = folder / "training.csv"
    if log.is_file():
        with log.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        if len(rows) > 1:
            sections += _curves(rows)
    title = escape(f"{spec.slug}, version {spec.version}")
    body = "\n".join(sections)
    html = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
    (folder / "report.html").write_text(html, encoding="utf-8")


def _figures(spec: ReaderSpec | TypesSpec) -> str:
    rows: list[tuple[str, str]] = [("created", spec.created)]
    if isinstance(spec, ReaderSpec):
        rows.append(("alphabet", spec.alphabet.characters))
    else:
        rows.append(("labels", ", ".join(spec.labels)))
    rows += _flat("dataset", spec.dataset)
    rows += _flat("metrics", spec.metrics)
    rows += _flat("libraries", spec.libraries)
    cells = "\n".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _flat(name: str, value: object) -> list[tuple[str, str]]:
    """A nested mapping as rows: ``metrics exact_match value``."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in _flat(f"{name} {key}", inner)]
    if isinstance(value, list):
        return [(name, "; ".join(str(item) for item in value[:20]) or "none")]
    return [(name, f"{value:.4f}" if isinstance(value, float) else str(value))]


def _curves(rows: list[dict[str, str]]) -> list[str]:
    """The loss, and every share over the steps of the run."""
    shares = [name for name in rows[0] if name not in {"minutes", "steps", "images", "learning_rate", "loss"}]
    steps = [float(row["steps"]) for row in rows]
    drawn = [_plot("Loss", steps, {"loss": [float(row["loss"]) for row in rows]})]
    if shares:
        lines = {name.replace("_", " "): [float(row[name]) for row in rows] for name in shares}
        drawn.append(_plot("Exact match", steps, lines, top=1.0))
    return drawn


def _plot(title: str, xs: list[float], lines: dict[str, list[float]], top: float | None = None) -> str:
    highest = top or max(max(ys) for ys in lines.values()) or 1.0
    last = xs[-1] or 1.0
    marks = []
    for step in range(5):
        y = (_HEIGHT - _BOTTOM) * (1 - step / 4) + 6
        marks.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="0" y="{y + 4:.1f}">{highest * step / 4:.3g}</text>')
    for index, (name, ys) in enumerate(lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        across = [_LEFT + (_WIDTH - _LEFT) * x / last for x in xs]
        down = [(_HEIGHT - _BOTTOM) * (1 - min(y / highest, 1)) + 6 for y in ys]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
        marks.append(f'<polyline points="{points}" stroke="{colour}"/>')
        at = _LEFT + 10 + index * 150
        marks.append(f'<text x="{at}" y="{_HEIGHT - 4}" style="fill:{colour}">{escape(name)}</text>')
    caption = f"{escape(title)} over {last:,.0f} steps"
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{caption}"'
    return f"<h2>{caption}</h2><svg {box}>{''.join(marks)}</svg>"
