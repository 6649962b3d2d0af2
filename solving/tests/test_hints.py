"""Hints: what the caller knows about an image is never violated, and what is not understood is refused."""

import json
from typing import Any

import pytest

from accounts.models import User
from solving.tests.conftest import Caller, assert_problem, charges
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, picture


def test_a_type_overrides_the_decision(caller: Caller) -> None:
    body = caller.solve(picture(TYPE_A), captcha_type="general").json()
    assert (body["text"], body["captcha_type"]) == ("GENERAL", "general")


def test_a_type_without_a_reader_is_refused(caller: Caller, user: User) -> None:
    body = assert_problem(caller.solve(picture(), captcha_type="hieroglyphs"), 422, "unsolvable")
    assert body["reason_code"] == "no_reader"
    assert charges(user) == 0


@pytest.mark.parametrize(
    ("hints", "reason_code"),
    [
        ({"max_length": "4"}, "constraints"),
        ({"min_length": "6", "max_length": "6"}, "constraints"),
        ({"numeric": "digits"}, "constraints"),
        ({"alphabet": "ABC"}, "constraints"),
        ({"math": "true"}, "arithmetic"),
        ({"captcha_type": "unsure", "min_confidence": "0.99"}, "low_confidence"),
        ({"captcha_type": "blind"}, "not_a_captcha"),
    ],
)
def test_what_no_reading_keeps_is_refused_uncharged(
    caller: Caller, user: User, hints: dict[str, str], reason_code: str
) -> None:
    body = assert_problem(caller.solve(picture(UNKNOWN), **hints), 422, "unsolvable")
    assert body["reason_code"] == reason_code
    assert charges(user) == 0


@pytest.mark.parametrize(
    "hints",
    [
        {"min_length": "5", "max_length": "5"},
        {"numeric": "both"},
        {"numeric": "alphanumeric"},
        {"case": "upper"},
        {"alphabet": "2KXQE"},
        {"math": "false"},
        {"math": "0", "min_length": ""},
        {"min_confidence": ".5"},
        {"min_confidence": "0"},
    ],
)
def test_hints_that_fit_change_nothing(caller: Caller, hints: dict[str, str]) -> None:
    assert caller.solve(picture(TYPE_A), **hints).json()["answer"] == "2KXQE"


def test_lower_case_is_given_where_it_is_asked_for(caller: Caller) -> None:
    assert caller.solve(picture(TYPE_A), case="lower").json()["answer"] == "2kxqe"


def test_with_a_sum_hints_hold_for_its_value(caller: Caller) -> None:
    hints = {"math": "1", "numeric": "digits", "max_length": "2"}
    assert caller.solve(picture(TYPE_B), **hints).json()["answer"] == "35"
    body = assert_problem(caller.solve(picture(TYPE_B), min_length="3"), 422, "unsolvable")
    assert body["reason_code"] == "constraints"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("captcha_type", "Not A Slug"),
        ("captcha_type", "../../etc/passwd"),
        ("numeric", "roman"),
        ("case", "camel"),
        ("min_length", "0"),
        ("min_length", "65"),
        ("min_length", "-1"),
        ("min_length", "1e3"),
        ("max_length", "99999999999999999999"),
        ("max_length", "five"),
        ("alphabet", "x" * 129),
        ("math", "maybe"),
        ("min_confidence", "1.01"),
        ("min_confidence", "nan"),
        ("min_confidence", "-0"),
        ("min_confidence", "."),
        ("minlength", "4"),
    ],
)
def test_a_form_with_an_unusable_hint_is_refused(caller: Caller, user: User, field: str, value: str) -> None:
    body = assert_problem(caller.solve(picture(), **{field: value}), 400, "invalid")
    assert [error["field"] for error in body["errors"]] == [field]
    assert body["detail"].endswith("Nothing was charged.")
    assert charges(user) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("captcha_type", 7),
        ("captcha_type", "\ud800"),
        ("numeric", 1),
        ("numeric", ["digits"]),
        ("min_length", True),
        ("min_length", 4.5),
        ("min_length", {"$gt": 0}),
        ("max_length", 10**30),
        ("alphabet", ["A", "B"]),
        ("alphabet", 5),
        ("math", 1),
        ("math", "perhaps"),
        ("min_confidence", "high"),
        ("min_confidence", True),
        ("min_confidence", 2),
        ("\x00", 1),
    ],
)
def test_a_json_object_with_an_unusable_hint_is_refused(caller: Caller, field: str, value: Any) -> None:
    body = json.dumps({"image": "aGVsbG8=", field: value})
    response = caller.client.post("/api/v1/solves", body, content_type="application/json")
    problem = assert_problem(response, 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_not_a_number_is_no_confidence(caller: Caller) -> None:
    response = caller.client.post(
        "/api/v1/solves", '{"image": "aGVsbG8=", "min_confidence": NaN}', content_type="application/json"
    )
    assert_problem(response, 400, "invalid")


def test_lengths_that_contradict_each_other_are_refused(caller: Caller) -> None:
    body = assert_problem(caller.solve(picture(), min_length="5", max_length="4"), 400, "invalid")
    assert body["errors"][0]["field"] == "min_length"
