"""GET /api/v1/account/usage: the own solves, by day, type and outcome."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.utils import timezone

from accounts import api_keys, credits
from accounts.models import User
from solving.models import Solve
from solving.tests.conftest import Caller, assert_problem
from solving.tests.pictures import TYPE_A, TYPE_B, picture
from solving.tests.test_api_keys import KeyCaller

USAGE = "/api/v1/account/usage"


@pytest.fixture
def solves(caller: Caller, user: User, outsider: User) -> None:
    """Three today, of two types and outcomes; one just before midnight two days ago; one of somebody else."""
    Caller(outsider).solve(picture())
    old = caller.solve(picture()).json()["id"]
    late = datetime.combine(timezone.now().date() - timedelta(days=2), datetime.max.time(), UTC)
    Solve.objects.filter(pk=old).update(created=late)
    caller.solve(picture(TYPE_A))
    caller.solve(picture(TYPE_B))
    caller.solve(picture(TYPE_A), max_length=2)
    credits.refund(account_id=user.credit_account.pk, amount=1, reference="report 1")


def test_by_day_type_and_outcome(caller: Caller, solves: None) -> None:
    body = caller.get(USAGE).json()
    today = timezone.now().date()
    assert (body["start"], body["end"]) == (str(today - timedelta(days=29)), str(today))
    rows = [tuple(row.values()) for row in body["rows"]]
    assert sorted(rows) == sorted(
        [
            (str(today - timedelta(days=2)), "captcha_type_a", "solved", 1, 1),
            (str(today), "", "refused", 1, 0),
            (str(today), "captcha_type_a", "solved", 1, 1),
            (str(today), "captcha_type_b", "solved", 1, 1),
        ]
    )
    assert (body["charged"], body["refunded"], body["balance"]) == (3, 1, 8)


def test_a_period(caller: Caller, solves: None) -> None:
    day = str(timezone.now().date() - timedelta(days=2))
    assert len(caller.get(USAGE, start=day, end=day).json()["rows"]) == 1
    assert len(caller.get(USAGE, end=day).json()["rows"]) == 1
    assert caller.get(USAGE, start="2001-01-01", end="2001-12-31").json()["rows"] == []


def test_as_csv(caller: Caller, solves: None) -> None:
    response = caller.get(USAGE, format="csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    header, *rows = csv.reader(StringIO(response.content.decode()))
    assert header == ["day", "captcha_type", "outcome", "solves", "charged"]
    assert len(rows) == 4


@pytest.mark.parametrize(
    "query",
    [
        {"start": "yesterday"},
        {"start": "2026-02-30"},
        {"start": "2026-02-02", "end": "2026-02-01"},
        {"start": "2020-01-01"},
        {"start": "0001-01-01", "end": "0001-01-01"},
        {"end": "9999-12-31"},
        {"format": "xml"},
    ],
)
def test_periods_that_are_none(caller: Caller, query: dict[str, Any]) -> None:
    assert_problem(caller.get(USAGE, **query), 400, "invalid")


@pytest.mark.parametrize(("name", "day"), [("end", "9999-12-31"), ("start", "0001-01-01")])
def test_a_day_out_of_range_is_named(caller: Caller, name: str, day: str) -> None:
    body = assert_problem(caller.get(USAGE, **{name: day}), 400, "invalid")
    assert body["detail"] == f"{name}: Give a day from 2000 to 2999."


def test_for_keys_that_may_read(user: User) -> None:
    reader = KeyCaller(api_keys.create(user=user, name="reader", scopes=["read"])[1])
    solver = KeyCaller(api_keys.create(user=user, name="solver", scopes=["solve"])[1])
    assert reader.get(USAGE).status_code == 200
    assert_problem(solver.get(USAGE), 403, "scope_missing")
    assert_problem(Caller().get(USAGE), 401, "not_authenticated")
