"""A type's newest learning curve, as the commands keep it; what is damaged or another's is left out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ml.kept_curves import newest_curve
from ml.recognition.audit.state import Results
from ml.recognition.metrics import interval
from ml.services import delete_artifacts


@pytest.fixture(autouse=True)
def _own_root(tmp_path: Path, settings: Any) -> None:
    settings.CURVES_ROOT, settings.ARTIFACTS_ROOT = tmp_path / "curves", tmp_path / "trained"


def keep(root: Path, slug: str, *points: tuple[int, int], dataset: str = "d" * 64, age: int = 0) -> Path:
    """A curve as `learning_curve` leaves it: (labels, right of 100)."""
    results = Results(root, {"slug": slug, "dataset": dataset})
    for labels, right in points:
        kept = {"exact_match": interval(right, 100), "seconds": 60.0, "cpu_seconds": 90.0}
        results.put(f"labels-{labels}-draw-0", kept)
    for file in results.folder.glob("labels-*"):
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    return results.folder


def test_nothing_measured_is_nothing(settings: Any) -> None:
    assert newest_curve("shop") is None
    keep(settings.CURVES_ROOT, "another", (25, 90))
    assert newest_curve("shop") is None


def test_the_newest_of_a_type_by_labels(settings: Any) -> None:
    keep(settings.CURVES_ROOT, "shop", (25, 50), dataset="a" * 64, age=100)
    keep(settings.CURVES_ROOT, "shop", (100, 97), (25, 91))
    curve = newest_curve("shop")
    assert curve is not None
    assert [(point.labels, point.exact_match["correct"]) for point in curve.points] == [(25, 91), (100, 97)]
    assert (curve.n_test, curve.dataset) == (100, "d" * 64)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"exact_match": {"correct": 9, "n": 1}}', '{"exact_match": 3}']
)
def test_a_damaged_point_is_left_out(settings: Any, text: str) -> None:
    folder = keep(settings.CURVES_ROOT, "shop", (25, 50))
    (folder / "labels-50-draw-0.json").write_text(text)
    curve = newest_curve("shop")
    assert curve is not None
    assert [point.labels for point in curve.points] == [25]
    (folder / "key.json").write_text(json.dumps(["shop"]))
    assert newest_curve("shop") is None


def test_the_curves_of_a_deleted_type_go_with_it(settings: Any) -> None:
    kept = keep(settings.CURVES_ROOT, "another", (25, 90))
    gone = keep(settings.CURVES_ROOT, "shop", (25, 90))
    (settings.CURVES_ROOT / "stray").mkdir()
    delete_artifacts("shop")
    assert kept.is_dir()
    assert not gone.exists()
