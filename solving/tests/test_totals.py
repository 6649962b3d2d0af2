"""Days that have ended are summed up once; what is told stays the same, and costs the same at any size."""

from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services
from accounts.models import User
from solving import retention, totals
from solving.models import DayTotal, Solve, SummedDay
from solving.selectors import usage

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def add(user: User, days_ago: float, *, captcha_type: str = "a", refused: bool = False) -> None:
    Solve.objects.create(
        user=user, account=user.credit_account, captcha_type=captcha_type, charged=0 if refused else 2,
        outcome="refused" if refused else "solved", elapsed_ms=1.0, created=NOW - timedelta(days=days_ago),
    )  # fmt: skip


@pytest.fixture
def history(user: User, outsider: User) -> None:
    for days_ago in (0.1, 1, 1, 3):
        add(user, days_ago)
        add(outsider, days_ago, captcha_type="b")
    add(user, 1, refused=True)


def told(user: User | None) -> list[totals.UsageRow]:
    return totals.by_day(user=user, start=date(2026, 3, 1), end=date(2026, 3, 10))


def sum_up() -> str:
    out = StringIO()
    call_command("sum_up_days", stdout=out)
    return out.getvalue()


def test_the_figures_are_those_that_were_counted(history: None, user: User, outsider: User) -> None:
    people = (user, outsider, None)
    before = [told(one) for one in people]
    assert sum_up() == "7 solves of 3 days\n"
    assert [told(one) for one in people] == before
    assert sum(row.solves for row in before[2]) == 9
    assert sum_up() == "every day that ended is in\n"
    assert usage(user=user, start=date(2026, 3, 9), end=date(2026, 3, 9)).charged == 4


def test_what_was_summed_up_is_not_counted_again(history: None, user: User) -> None:
    sum_up()
    before = told(user)
    Solve.objects.filter(created__lt=NOW - timedelta(days=0.5)).delete()
    assert told(user) == before
    add(user, 0.05)
    assert sum(row.solves for row in told(user)) == sum(row.solves for row in before) + 1


def test_a_day_is_left_alone_until_an_hour_after_its_end(
    history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 3, 10, 0, 59, tzinfo=UTC))
    assert totals.days_to_sum_up()[-1] == date(2026, 3, 8)
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 3, 10, 1, 1, tzinfo=UTC))
    assert totals.days_to_sum_up()[-1] == date(2026, 3, 9)


def test_who_comes_second_changes_nothing(history: None) -> None:
    days = totals.days_to_sum_up()
    sum_up()
    rows = DayTotal.objects.count()
    for day in days:
        totals.sum_up(day)
    assert DayTotal.objects.count() == rows
    assert SummedDay.objects.count() == len(days)


def test_a_deleted_users_totals_go_and_everybodys_stay(history: None, user: User) -> None:
    sum_up()
    everybody, user_id = told(None), user.pk
    services.delete_user(user=user, actor=None)
    assert told(None) == everybody
    assert not DayTotal.objects.filter(user=user_id).exists()


def test_totals_go_with_the_history(history: None, user: User) -> None:
    sum_up()
    assert retention.delete_solves_before(NOW - timedelta(days=2)) == 2
    assert {row.day for row in told(user)} == {date(2026, 3, 9), date(2026, 3, 10)}
    assert {row.day for row in told(None)} == {date(2026, 3, 9), date(2026, 3, 10)}


def test_no_day_that_was_summed_up_is_read_from_the_history(history: None, user: User) -> None:
    sum_up()
    with CaptureQueriesContext(connection) as captured:
        told(user)
    (asked,) = [query["sql"] for query in captured.captured_queries if '"solving_solve"' in query["sql"]]
    assert "2026-03-10T00:00:00" in asked or "2026-03-10 00:00:00" in asked


def test_batches_of_old_solves_begin_where_the_last_one_ended(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        add(user, 5 + number // 3)  # several of one moment, across the edge of a batch
    add(user, 1)
    monkeypatch.setattr(retention, "BATCH", 2)
    with CaptureQueriesContext(connection) as captured:
        assert retention.delete_solves_before(NOW - timedelta(days=3)) == 7
    looks: list[Any] = [
        query["sql"]
        for query in captured.captured_queries
        if query["sql"].startswith('SELECT "solving_solve"."id"')
    ]
    assert len(looks) > 3
    assert all(">=" in look for look in looks[1:])
    assert Solve.objects.count() == 1
