"""Reads over past solves that are more than a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum
from django.db.models.functions import TruncHour

from solving.models import Solve


@dataclass(frozen=True)
class Hour:
    start: datetime
    solves: int
    credits: int


def spent_by_hour(*, user_id: int, start: datetime, end: datetime) -> Iterator[Hour]:
    """The hours in which the user solved something, and what it cost."""
    solved = Solve.objects.filter(
        user_id=user_id, outcome=Solve.Outcome.SOLVED, created__gte=start, created__lt=end
    )
    hours = solved.annotate(hour=TruncHour("created")).values("hour").order_by("hour")
    for row in hours.annotate(solves=Count("pk"), credits=Sum("charged")):
        yield Hour(row["hour"], row["solves"], row["credits"])
