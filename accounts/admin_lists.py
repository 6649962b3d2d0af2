"""Lists of the admin that stay fast when their table holds millions of rows."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import Max, Min, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.functional import cached_property

from accounts.models import User

COUNTED = 10_000


class LimitedPaginator(Paginator):
    """Counts and reaches the first 10,000 rows: counting ten million takes a second. Search finds more."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Any], self.object_list)
        return rows.order_by()[:COUNTED].count()


def ids_of_user_named(name: str) -> list[int]:
    """Whatever its case, by the index; looked up before, so that the list itself is read by an index too."""
    named = User.objects.annotate(lower_username=Lower("username")).filter(lower_username=name.lower())
    return list(named.values_list("pk", flat=True))


class DayFilter(admin.SimpleListFilter):
    """From years down to a day (UTC). Django's own drill-down groups the whole table for it.

    The column named by ``moment`` needs an index; where ids grow with time, ``DayByIdFilter`` needs none.
    """

    title = "day"
    parameter_name = "day"
    moment = "created"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The years that there are rows from, and below the chosen one its months, below a month its days."""
        first, last = self.ends(model_admin.model._default_manager.all())
        if first is None or last is None:
            return []
        chosen = request.GET.get(self.parameter_name, "")
        shown = [str(year) for year in range(last.year, first.year - 1, -1)]
        if _period(chosen) is not None:
            shown += _months(chosen[:4]) + (_days(chosen[:7]) if len(chosen) > 4 else [])
        begin, end = f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"
        return [(one, one) for one in shown if begin[: len(one)] <= one <= end[: len(one)]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        period = _period(self.value() or "")
        if period is None:
            raise IncorrectLookupParameters
        return self.between(queryset, *period)

    def ends(self, rows: QuerySet[Any]) -> tuple[datetime | None, datetime | None]:
        """The time of the oldest row and of the newest."""
        found = rows.aggregate(first=Min(self.moment), last=Max(self.moment))
        return found["first"], found["last"]

    def between(self, rows: QuerySet[Any], begin: datetime, end: datetime) -> QuerySet[Any]:
        return rows.filter(**{f"{self.moment}__gte": begin, f"{self.moment}__lt": end})


class DayByIdFilter(DayFilter):
    """The same without an index on the time: of what is inserted as it happens, ids are as old as rows.

    Rows of one moment may have been numbered the other way round, so a few at midnight may be a day off.
    """

    def ends(self, rows: QuerySet[Any]) -> tuple[datetime | None, datetime | None]:
        moments = rows.values_list(self.moment, flat=True)
        return moments.order_by("pk").first(), moments.order_by("-pk").first()

    def between(self, rows: QuerySet[Any], begin: datetime, end: datetime) -> QuerySet[Any]:
        everything = rows.model._default_manager.all()
        return rows.filter(pk__gte=self._first_id(everything, begin), pk__lt=self._first_id(everything, end))

    def _first_id(self, rows: QuerySet[Any], moment: datetime) -> int:
        """Of the oldest row from that moment on, by bisection: some 30 looks into the primary key's index."""
        known = rows.aggregate(low=Min("pk"), high=Max("pk"))
        low, high = known["low"] or 0, (known["high"] or 0) + 1
        while low < high:
            middle = (low + high) // 2
            row = rows.filter(pk__gte=middle).order_by("pk").values_list("pk", self.moment).first()
            if row is None or row[1] >= moment:
                high = middle
            else:
                low = row[0] + 1
        return low


def _period(text: str) -> tuple[datetime, datetime] | None:
    """Begin and end of a year, a month or a day such as ``2026-11-23``; None for anything else."""
    if not re.fullmatch(r"\d{4}(-\d\d){0,2}", text, re.ASCII):
        return None
    try:
        begin = datetime.strptime((text + "-01-01")[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    if begin.year > 9990:
        return None
    if len(text) == 10:
        return begin, begin + timedelta(days=1)
    if len(text) == 7:
        return begin, (begin + timedelta(days=31)).replace(day=1)
    return begin, begin.replace(year=begin.year + 1)


def _months(year: str) -> list[str]:
    return [f"{year}-{month:02d}" for month in range(12, 0, -1)]


def _days(month: str) -> list[str]:
    def each() -> Iterator[str]:
        period = _period(month)
        if period is not None:
            day, end = period
            while day < end:
                yield f"{day:%Y-%m-%d}"
                day += timedelta(days=1)

    return list(each())[::-1]
