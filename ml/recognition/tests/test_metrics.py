"""Metrics that neither flatter nor forget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recognition.metrics import (
    cer,
    describe,
    expected_calibration_error,
    summarize,
    wilson_interval,
)


def test_wilson_intervals_of_the_literature() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 29 of 29.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson_interval(29, 29) == pytest.approx((0.8830, 1), abs=1e-4)
    assert wilson_interval(0, 0) == (0, 1)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_share(share: tuple[int, int]) -> None:
    k, n = share
    low, high = wilson_interval(k, n)
    assert 0 <= low <= (k / n if n else 0.5) <= high <= 1


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        wilson_interval(3, 2)


@given(st.text("AB", max_size=6), st.text("AB", max_size=6))
def test_cer_is_a_distance(truth: str, read: str) -> None:
    forth, back = cer([(truth, read)]) * len(truth), cer([(read, truth)]) * len(read)
    if truth and read:
        assert forth == pytest.approx(back)
    assert (forth == 0) == (truth == read or not truth)


def test_cer_counts_edits_per_character() -> None:
    assert cer([("ABCD", "ABXD"), ("AB", "ABC")]) == pytest.approx(2 / 6)
    assert cer([("ABCD", None)]) == 1
    assert cer([]) == 0


def test_a_failure_counts_as_wrong() -> None:
    summary = summarize([("AB", "AB", 0.9), ("CD", None, 0.9), ("ef", "EF", 0.9), ("GH", "GK", 0.1)])
    assert summary["n"] == 4
    assert summary["failures"] == 1
    assert summary["exact_match"]["correct"] == 1
    assert summary["exact_match_ignore_case"]["correct"] == 2
    assert summary["exact_match"]["value"] == 0.25
    assert summary["cer"] == pytest.approx((2 + 2 + 1) / 8)


def test_confusions_are_counted_the_commonest_first() -> None:
    summary = summarize([("A0", "AO", 1), ("00", "O0", 1), ("AB", "A", 1), ("A", "AX", 1)])
    assert summary["confusions"] == [
        {"truth": "0", "read": "O", "count": 2},
        {"truth": "", "read": "X", "count": 1},
        {"truth": "B", "read": "", "count": 1},
    ]


def test_calibration_error_is_the_gap() -> None:
    assert expected_calibration_error([True] * 8 + [False] * 2, [0.8] * 10) == pytest.approx(0)
    assert expected_calibration_error([False] * 10, [0.8] * 10) == pytest.approx(0.8)
    assert expected_calibration_error([True, False], [1.0, 0.0]) == 0
    assert expected_calibration_error([], []) == 0


def test_the_surest_95_percent_leave_the_doubtful_out() -> None:
    readings = [("A", "A", 0.5 + i / 100) for i in range(19)] + [("A", "B", 0.2)]
    accepted = summarize(readings)["accepted_at_95"]
    assert accepted["threshold"] == 0.5
    assert accepted["exact_match"]["correct"] == accepted["exact_match"]["n"] == 19


def test_no_pictures_give_figures_without_meaning_and_without_error() -> None:
    summary = summarize([])
    assert summary["n"] == 0
    assert summary["exact_match"]["low"] == 0
    assert summary["exact_match"]["high"] == 1


def test_the_description_begins_with_n() -> None:
    lines = describe(summarize([("A0", "AO", 0.9), ("B", None, 0.0)])).splitlines()
    assert lines[0].split()[:2] == ["n", "2"]
    assert "1 unanswered" in lines[0]
    assert "0.00 % (0 of 2" in lines[1]
    assert "0→O ×1" in lines[-1]
