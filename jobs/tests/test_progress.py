"""What a command tells, and what is kept of what it prints."""

import json
from pathlib import Path

import pytest

from jobs import progress, running
from jobs.running import ProgressFile, Tail


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress"
    monkeypatch.setenv(progress.FILE, str(path))
    monkeypatch.setattr(progress, "_last", 0.0)
    return path


def test_the_items_pass_and_the_progress_moves_with_them(told: Path) -> None:
    assert list(progress.progress("abc", line="reading")) == ["a", "b", "c"]
    assert ProgressFile(told).read() == {"done": 3, "of": 3, "line": "reading", "curve": []}


def test_outside_a_job_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.FILE, raising=False)
    assert list(progress.progress(iter("ab"))) == ["a", "b"]
    progress.report(1, 2, loss=3.0)


def test_what_comes_fast_is_left_out_but_for_figures_and_the_end(told: Path) -> None:
    for done in range(100):
        progress.report(done, 100)
    progress.report(7, 100, loss=1.5)
    progress.report(100, 100)
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert len(lines) < 50
    assert lines[-2]["figures"] == {"loss": 1.5}
    assert lines[-1]["done"] == 100


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    file = ProgressFile(path)
    assert file.read() == {}
    whole = json.dumps({"done": 1, "of": 2, "line": "x", "figures": {"loss": 1.0}}) + "\n"
    path.write_text(whole + whole[:10])
    assert file.read()["curve"] == [{"loss": 1.0}]
    path.write_text(whole + whole)
    assert file.read()["curve"] == [{"loss": 1.0}] * 2


def test_a_long_curve_loses_every_second_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "POINTS_KEPT", 10)
    path = tmp_path / "progress"
    points = [{"done": 1, "of": 2, "line": "", "figures": {"step": n}} for n in range(12)]
    path.write_text("".join(json.dumps(point) + "\n" for point in points))
    curve = ProgressFile(path).read()["curve"]
    assert [point["step"] for point in curve] == [0, 2, 4, 6, 8, 10, 11]


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        (["a\nb\n"], "a\nb"),
        (["10%\r", "20%\r", "30%\n", "ready"], "30%\nready"),
        (["10%\r20%"], "20%"),
        (["first\r\n", "second\r\n"], "first\nsecond"),
        (["half a ", "line\n"], "half a line"),
        (["a\0b"], "ab"),
    ],
)
def test_the_tail_is_what_a_terminal_shows(chunks: list[str], shown: str) -> None:
    tail = Tail()
    for chunk in chunks:
        tail.add(chunk)
    assert tail.text() == shown


def test_only_the_end_of_a_long_log_is_kept() -> None:
    tail = Tail()
    for n in range(100_000):
        tail.add(f"line {n}\n")
    assert len(tail.text().splitlines()) <= running.LINES_KEPT
    assert tail.text().endswith("line 99999")
    tail.add("x" * 100_000 + "\n" + "y" * 100_000)
    assert len(tail.text()) <= running.CHARACTERS_KEPT
