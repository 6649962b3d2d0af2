"""The caller's own solves, newest first: filters, pages and how one of them is shown."""

import re
from datetime import UTC, datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from accounts.pagination import NewestFirst
from solving.models import Solve

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
_IN_RANGE = [MinValueValidator(_EARLIEST), MaxValueValidator(_LATEST)]  # a database's own limits are a 500
_POSITION = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?\+00:00", re.ASCII)


class TimeFilter(filters.IsoDateTimeFilter):
    """Compares in UTC: PostgreSQL takes no time whose zone is sixteen hours or more from it."""

    def filter(self, qs: QuerySet[Solve], value: datetime | None) -> QuerySet[Solve]:
        return super().filter(qs, None if value is None else value.astimezone(UTC))


class HistoryFilter(filters.FilterSet):
    """Query parameters of the history."""

    captcha_type = filters.CharFilter(max_length=63, help_text="Slug of a type, such as captcha_type_a.")
    outcome = filters.ChoiceFilter(choices=Solve.Outcome.choices)
    created_from = TimeFilter(
        field_name="created", lookup_expr="gte", validators=_IN_RANGE, help_text="At this time or later."
    )
    created_before = TimeFilter(
        field_name="created", lookup_expr="lt", validators=_IN_RANGE, help_text="Before this time."
    )

    class Meta:
        model = Solve
        fields: list[str] = []


class HistoryPages(NewestFirst):
    """By falling time. The index that parts users holds it too, so page 1,000 costs what page 1 does."""

    ordering = ("-created", "-id")  # type: ignore[assignment]

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Like the base class's, for a position that is a time."""
        cursor = CursorPagination.decode_cursor(self, request)
        if cursor is not None and cursor.position is not None and not _is_time(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def describe(solve: Solve) -> dict[str, Any]:
    """What the API tells about a solve, in the answer to it and ever after."""
    return {
        "id": solve.pk,
        "text": solve.text,
        "answer": solve.answer,
        "captcha_type": solve.captcha_type,
        "confidence": solve.confidence,
        "characters": [{"char": char, "confidence": confidence} for char, confidence in solve.characters],
        "model_version": solve.model_version,
        "charged": solve.charged,
        "elapsed_ms": solve.elapsed_ms,
    }


def describe_past(solve: Solve) -> dict[str, Any]:
    """`describe`, with what only matters later: when it was, and why it was refused if so."""
    return describe(solve) | {
        "outcome": solve.outcome,
        "reason_code": solve.reason_code,
        "reason": solve.reason,
        "created": solve.created.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _is_time(text: str) -> bool:
    if not _POSITION.fullmatch(text):
        return False
    try:
        return _EARLIEST <= datetime.fromisoformat(text) <= _LATEST
    except ValueError:
        return False
