"""The own history as a page with filters, and as CSV."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import spreadsheets
from accounts.sessions import session_user
from ml.selectors import available_types
from solving.models import Solve

PAGE = 50
CSV_PAGE = 2000
"""Rows of one query."""
COLUMNS = (
    "id", "created", "captcha_type", "text", "answer", "confidence", "outcome", "reason", "model_version",
    "charged", "elapsed_ms",
)  # fmt: skip


class HistoryForm(forms.Form):
    """Filters; what is wrong is said at the field and narrows nothing."""

    captcha_type = forms.CharField(required=False, label="Type", max_length=63, widget=forms.Select)
    outcome = forms.ChoiceField(required=False, choices=[("", "any"), *Solve.Outcome.choices])
    day_from = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    day_to = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    before = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict, *, user_id: int) -> None:
        """Offers the types known now, and the one asked for: those that occur, only all rows could tell."""
        super().__init__(data)
        known = [one.slug for one in available_types(user_id)]
        asked = data.get("captcha_type", "")
        if asked and asked not in known:
            known.append(asked)
        self.fields["captcha_type"].widget.choices = [("", "any"), *((slug, slug) for slug in known)]


@require_safe
@login_required
@never_cache
def history(request: HttpRequest) -> HttpResponse:
    """Newest first, fifty at a time; the index that parts users holds the time too: all pages cost alike."""
    form = HistoryForm(request.GET, user_id=session_user(request).pk)
    chosen = _chosen(request, form).select_related("report")
    older = request.GET.get("before", "")
    last = (
        chosen.filter(pk=int(older)).first()
        if older.isascii() and older.isdigit() and len(older) < 17
        else None
    )
    if last is not None:
        chosen = _older(chosen, last.pk, last.created)
    rows = list(chosen[: PAGE + 1])
    filters = {name: str(value) for name, value in request.GET.items() if name != "before" and value}
    context = {
        "form": form,
        "rows": rows[:PAGE],
        "filtered": bool(filters),
        "filters": urlencode(filters),
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "newest": last is None,
    }
    return render(request, "solving/history.html", context)


@require_safe
@login_required
@never_cache
def as_csv(request: HttpRequest) -> StreamingHttpResponse:
    """What the filters leave, all of it, a row at a time."""
    rows = _in_pages(_chosen(request, HistoryForm(request.GET, user_id=session_user(request).pk)))
    response = StreamingHttpResponse(
        spreadsheets.lines(COLUMNS, rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="solves.csv"'
    return response


def _in_pages(chosen: QuerySet[Solve]) -> Iterator[tuple[Any, ...]]:
    """The newest are there at once; for one query the database would first sort all of a large history."""
    rows = list(chosen.values_list(*COLUMNS)[:CSV_PAGE])
    while rows:
        yield from rows
        last_id, last_created = rows[-1][:2]
        rows = list(_older(chosen, last_id, last_created).values_list(*COLUMNS)[:CSV_PAGE])


def _older(chosen: QuerySet[Solve], last_id: int, last_created: datetime) -> QuerySet[Solve]:
    """What comes after that solve, newest first."""
    return chosen.filter(created__lte=last_created).exclude(created=last_created, pk__gte=last_id)


def _chosen(request: HttpRequest, form: HistoryForm) -> QuerySet[Solve]:
    form.is_valid()
    given: dict[str, Any] = form.cleaned_data
    rows = Solve.objects.filter(user=session_user(request)).order_by("-created", "-id")
    if given.get("captcha_type"):
        rows = rows.filter(captcha_type=given["captcha_type"])
    if given.get("outcome"):
        rows = rows.filter(outcome=given["outcome"])
    if given.get("day_from"):
        rows = rows.filter(created__gte=_midnight(given["day_from"]))
    if given.get("day_to"):
        rows = rows.filter(created__lt=_midnight(given["day_to"]) + timedelta(days=1))
    return rows


def _midnight(day: date) -> datetime:
    """Compared as a time, not as a date of it: so the index of the history finds the days."""
    return datetime.combine(day, time(), UTC)
