"""Learning curves that `manage.py learning_curve` and `audit` have measured and kept, for a type's page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from ml.recognition.audit.curve import Point
from ml.recognition.metrics import interval

_POINT = re.compile(r"labels-(\d+)-draw-(\d+)\.json")


@dataclass(frozen=True)
class KeptCurve:
    """Trainings on growing parts of one data set, by labels and draw, judged on the same `n_test` images."""

    points: tuple[Point, ...]
    dataset: str
    measured: datetime

    @property
    def n_test(self) -> int:
        return self.points[0].exact_match["n"]


def root() -> Path:
    return Path(settings.CURVES_ROOT)


def newest_curve(slug: str) -> KeptCurve | None:
    """The curve of a type whose last point is the newest; None where none was measured on this machine."""
    found = [curve for folder in root().glob("*/") if (curve := _read(folder, slug)) is not None]
    return max(found, key=lambda curve: curve.measured, default=None)


def delete_curves(slug: str) -> None:
    """Delete all that was measured of a type that is gone; its pages hold images of it."""
    for folder in root().glob("*/"):
        key = _json(folder / "key.json")
        if isinstance(key, dict) and slug in (key.get("slug"), key.get("audit")):
            shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path, slug: str) -> KeptCurve | None:
    """What a folder of results holds; None for one of another type, of an audit alone, or a damaged one."""
    key = _json(folder / "key.json")
    if not isinstance(key, dict) or key.get("slug") != slug:
        return None
    points, newest = [], 0.0
    for file in folder.iterdir():
        name, kept = _POINT.fullmatch(file.name), None
        if name is not None:
            kept = _json(file)
        if name is None or not isinstance(kept, dict):
            continue
        try:
            match = interval(kept["exact_match"]["correct"], kept["exact_match"]["n"])
            point = Point(
                int(name[1]), int(name[2]), match, float(kept["seconds"]), float(kept["cpu_seconds"])
            )
        except (KeyError, TypeError, ValueError):
            continue
        points.append(point)
        newest = max(newest, file.stat().st_mtime)
    if not points:
        return None
    points.sort(key=lambda point: (point.labels, point.draw))
    return KeptCurve(tuple(points), str(key.get("dataset", "")), datetime.fromtimestamp(newest, UTC))


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
