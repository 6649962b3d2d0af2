"""Reads over past solves that are more than a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Sum
from django.db.models.functions import TruncHour

from accounts.models import LedgerEntry, User
from solving.models import Solve
from solving.totals import UsageRow, by_day


@dataclass(frozen=True)
class Usage:
    """What a user solved and spent from the first to the last day, both included. Credits."""

    start: date
    end: date
    rows: list[UsageRow]
    refunded: int
    balance: int

    @property
    def charged(self) -> int:
        return sum(row.charged for row in self.rows)


def usage(*, user: User, start: date, end: date) -> Usage:
    first = datetime.combine(start, time(), UTC)
    past = datetime.combine(end, time(), UTC) + timedelta(days=1)
    # Every refund has a reference; to say so lets the index of refunds serve, in place of one of all entries.
    refunds = LedgerEntry.objects.filter(
        account=user.credit_account, kind=LedgerEntry.Kind.REFUND, created__gte=first, created__lt=past
    ).exclude(reference="")
    refunded = refunds.aggregate(sum=Sum("amount"))["sum"] or 0
    rows = by_day(user=user, start=start, end=end)
    return Usage(start, end, rows, refunded, user.credit_account.balance)


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
