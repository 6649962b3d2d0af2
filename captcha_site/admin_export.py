"""An action of every list in the admin: what it shows, as CSV."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import lookup_field
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from accounts import spreadsheets
from accounts.sessions import session_user

MOST = 100_000
"""Rows of one file: more would take longer than a request may."""


@admin.action(description="Export as CSV", permissions=["view"])
def export_as_csv(
    model_admin: Any, request: HttpRequest, chosen: QuerySet[Any]
) -> StreamingHttpResponse | None:
    """The columns of the list, for the chosen rows or for all that search and filters leave.

    Nothing goes out that the list does not show. That it did is kept with the admin's other actions.
    """
    if chosen[MOST : MOST + 1]:
        messages.error(request, f"More than {MOST:,} rows: narrow them by a search, a filter or a day.")
        return None
    name = model_admin.opts.model_name
    LogEntry.objects.create(
        user=session_user(request),
        content_type=ContentType.objects.get_for_model(model_admin.model, for_concrete_model=False),
        object_repr=str(model_admin.opts.verbose_name_plural),
        action_flag=CHANGE,
        change_message=f"Exported as CSV: {request.GET.urlencode() or 'without a filter'}",
    )
    columns = list(model_admin.get_list_display(request))
    related = model_admin.get_list_select_related(request)
    if related and related is not True:
        chosen = chosen.select_related(*related)
    response = StreamingHttpResponse(
        spreadsheets.lines([column.strip("_") for column in columns], _rows(model_admin, columns, chosen)),
        content_type="text/csv; charset=utf-8",
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _rows(model_admin: Any, columns: list[str], chosen: QuerySet[Any]) -> Iterator[list[Any]]:
    for row in chosen.iterator(chunk_size=2000):
        yield [_value(lookup_field(column, row, model_admin)[2]) for column in columns]


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, SafeString):
        return strip_tags(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
