"""Forecasts of how many labels a goal takes, on curves whose truth is known."""

import math

import numpy as np
import pytest

from ml.recognition.audit.forecast import HORIZON, Measured, forecast


def points(errors: dict[int, float], n: int = 200) -> list[Measured]:
    return [Measured(labels, round(n * (1 - error)), n) for labels, error in errors.items()]


def test_a_clean_power_law_is_continued() -> None:
    # error = 4 / n: 99 % at 400 labels.
    said = forecast(points({10: 0.4, 25: 0.16, 50: 0.08, 100: 0.04}, 1000), 0.99)
    assert said.status == "forecast"
    assert said.labels is not None
    assert 250 < said.labels < 650
    assert said.low is not None
    assert said.low < said.labels
    assert said.high is None or said.high > said.labels
    assert "more labels for 99 %" in said.line


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = told = 0
    for _ in range(40):
        slope, odds = rng.uniform(0.8, 1.6), rng.uniform(-1, 1)
        measured = []
        for labels in (10, 25, 50, 100, 200):
            error = 1 / (1 + math.exp(-(odds - slope * math.log(labels / 10))))
            measured.append(Measured(labels, 300 - int(rng.binomial(300, error)), 300))
        truth = 10 * math.exp((odds - math.log(0.02 / 0.98)) / slope)
        said = forecast(measured, 0.98)
        if said.status == "forecast" and said.low is not None:
            told += 1
            # Two digits are told, rounded up.
            held += said.low / 1.1 <= truth <= (said.high or math.inf) * 1.1
    assert told >= 15
    assert held >= 0.75 * told


def test_fewer_than_three_counts_are_too_short() -> None:
    said = forecast(points({10: 0.4, 25: 0.2}), 0.99)
    assert (said.status, said.labels, said.curve) == ("too_short", None, ())
    assert "Too short" in said.line


def test_a_level_curve_is_too_flat() -> None:
    said = forecast(points({10: 0.3, 100: 0.3, 1000: 0.29}), 0.99)
    assert (said.status, said.labels) == ("too_flat", None)
    assert f"{HORIZON} times" in said.line
    assert said.curve


def test_a_goal_that_is_reached_says_with_how_many_labels() -> None:
    said = forecast(points({10: 0.4, 50: 0.0, 100: 0.005, 200: 0.0}, 400), 0.98)
    assert said.status == "reached"
    assert "with 50 labels" in said.line
    assert "begins above it" in said.line
    unproven = forecast(points({10: 0.4, 50: 0.1, 100: 0.0}, 20), 0.99)
    assert unproven.status == "reached"
    assert "more images would prove it" in unproven.line


def test_what_scatters_more_than_chance_is_told_with_less_certainty() -> None:
    smooth = forecast(points({10: 0.4, 20: 0.2, 40: 0.1, 80: 0.05, 160: 0.025}, 500), 0.99)
    rough = forecast(points({10: 0.4, 20: 0.3, 40: 0.06, 80: 0.09, 160: 0.025}, 500), 0.99)
    assert smooth.curve[-1].high - smooth.curve[-1].low < rough.curve[-1].high - rough.curve[-1].low


@pytest.mark.parametrize("goal", [0.0, 1.0, 99.0])
def test_a_goal_that_is_no_share_is_refused(goal: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        forecast([], goal)
