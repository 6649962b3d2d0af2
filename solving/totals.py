"""Solves and charges of each day (UTC) that has ended, summed up once: figures cost the same at any size.

`manage.py sum_up_days` adds the days that have ended since. What has not been summed up is counted where it
is asked for: without the command the figures are the same, and slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, transaction
from django.db.models import Count, Max, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from accounts.models import User
from solving.models import DayTotal, Solve, SummedDay

SETTLED = timedelta(hours=1)
"""A day is summed up so long after its end: a solve gets its time a moment before it is committed."""
_INTO = "INSERT INTO solving_daytotal (user_id, day, captcha_type, outcome, solves, charged) SELECT "
_OF_USERS = (
    _INTO + "user_id, %s, captcha_type, outcome, COUNT(*), SUM(charged) FROM solving_solve "
    "WHERE created >= %s AND created < %s AND user_id IS NOT NULL GROUP BY user_id, captcha_type, outcome"
)
_OF_EVERYBODY = (
    _INTO + "NULL, %s, captcha_type, outcome, COUNT(*), SUM(charged) FROM solving_solve "
    "WHERE created >= %s AND created < %s GROUP BY captcha_type, outcome"
)


@dataclass(frozen=True)
class UsageRow:
    """What was asked on one day (UTC) of one type with one outcome."""

    day: date
    captcha_type: str
    outcome: str
    solves: int
    charged: int


def by_day(*, user: User | None, start: date, end: date) -> list[UsageRow]:
    """Of a user, or of everybody, from the first to the last day, both included; in order."""
    summed = SummedDay.objects.aggregate(last=Max("day"))["last"]
    rows: list[UsageRow] = []
    if summed is not None and summed >= start:
        totals = DayTotal.objects.filter(user=user, day__gte=start, day__lte=min(end, summed))
        rows += [
            UsageRow(one.day, one.captcha_type, one.outcome, one.solves, one.charged)
            for one in totals.order_by("day", "captcha_type", "outcome")
        ]
        start = summed + timedelta(days=1)
    return rows + (_counted(user, start, end) if start <= end else [])


def days_to_sum_up() -> Sequence[date]:
    """Days that have ended and are in no total yet, the oldest first."""
    summed = SummedDay.objects.aggregate(last=Max("day"))["last"]
    if summed is None:
        oldest = Solve.objects.order_by("created").values_list("created", flat=True).first()
        first = oldest.astimezone(UTC).date() if oldest else None
    else:
        first = summed + timedelta(days=1)
    past = (timezone.now() - SETTLED).astimezone(UTC).date()
    if first is None:
        return []
    return [first + timedelta(days=number) for number in range((past - first).days)]


def sum_up(day: date) -> int:
    """Count the day's solves; how many there were. Whoever comes second for a day changes nothing."""
    adapt = connection.ops.adapt_datetimefield_value
    begin, end = adapt(_midnight(day)), adapt(_midnight(day + timedelta(days=1)))
    with transaction.atomic(), connection.cursor() as cursor:
        if not SummedDay.objects.get_or_create(day=day)[1]:
            return 0
        # Within the database: a busy day is ten thousand rows and more.
        cursor.execute(_OF_USERS, [day, begin, end])
        cursor.execute(_OF_EVERYBODY, [day, begin, end])
        summed = DayTotal.objects.filter(user=None, day=day).aggregate(sum=Sum("solves"))["sum"]
    return int(summed or 0)


def _counted(user: User | None, start: date, end: date) -> list[UsageRow]:
    solves = Solve.objects.filter(
        created__gte=_midnight(start), created__lt=_midnight(end + timedelta(days=1))
    )
    if user is not None:
        solves = solves.filter(user=user)
    days = solves.annotate(day=TruncDate("created", tzinfo=UTC)).values("day", "captcha_type", "outcome")
    counted = days.annotate(number=Count("pk"), spent=Sum("charged"))
    return [
        UsageRow(row["day"], row["captcha_type"], row["outcome"], row["number"], row["spent"])
        for row in counted.order_by("day", "captcha_type", "outcome")
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
