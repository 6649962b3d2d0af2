"""The account's first page, which joins balance and solves, and all data that is kept about a person."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import consent, personal_data, verification
from accounts.models import LedgerEntry
from accounts.sessions import session_user
from captcha_site.charts import stacked_bars
from solving import reports
from solving.models import Solve
from solving.selectors import usage
from solving.totals import UsageRow

DAYS = 30
ENTRIES = 10


@require_safe
@login_required
@never_cache
def my_account(request: HttpRequest) -> HttpResponse:
    """Balance, what was solved lately, what is to be done next."""
    user = session_user(request)
    today = timezone.now().date()
    first = today - timedelta(days=DAYS - 1)
    used = usage(user=user, start=first, end=today)
    rows = by_day(used.rows, first)
    balance = user.credit_account.balance
    context = {
        "balance": balance,
        "low": balance <= settings.LOW_BALANCE,
        "price": settings.SOLVE_PRICE,
        "unverified": settings.VERIFY_EMAIL and not verification.is_verified(user),
        "gift": settings.SIGNUP_CREDITS,
        "days": DAYS,
        "solves": sum(row.solves for row in used.rows),
        "spent": used.charged,
        "by_type": _counted((row.captcha_type or "no type", row.solves) for row in used.rows),
        "by_outcome": _counted((row.outcome, row.solves) for row in used.rows),
        "rows": rows,
        "chart": stacked_bars(rows, first="solved", second="refused"),
        "keys": user.api_keys.count(),
        "entries": LedgerEntry.objects.filter(account=user.credit_account)[:ENTRIES],
        "standing": reports.standing(user),
    }
    return render(request, "account/overview.html", context)


@require_safe
@login_required
@never_cache
def my_data(request: HttpRequest) -> HttpResponse:
    return render(request, "account/my_data.html", {"consent": consent.is_given(session_user(request))})


@require_POST
@login_required
def change_consent(request: HttpRequest) -> HttpResponse:
    """Whether models may be trained on the images that this person reported, before and from now on."""
    user = session_user(request)
    with transaction.atomic():
        if request.POST.get("consent") == "yes":
            consent.give(user=user)
        else:
            consent.withdraw(user=user)
        reports.apply_consent(user)
    messages.success(request, "Kept, and valid from the next data set on.")
    return redirect("my-data")


@require_POST
@login_required
@never_cache
def export_my_data(request: HttpRequest) -> FileResponse:
    """A zip that is made now and kept nowhere."""
    user = session_user(request)
    return FileResponse(
        personal_data.export(user),
        as_attachment=True,
        filename=f"data-of-{user.pk}.zip",
        content_type="application/zip",
    )


def by_day(rows: Sequence[UsageRow], first: date) -> list[tuple[str, int, int]]:
    """(day, solved, refused) for each of the `DAYS` days from `first`, those without a solve included."""
    solved: Counter[date] = Counter()
    refused: Counter[date] = Counter()
    for row in rows:
        (solved if row.outcome == Solve.Outcome.SOLVED else refused)[row.day] += row.solves
    days = (first + timedelta(days=number) for number in range(DAYS))
    return [(f"{day:%m-%d}", solved[day], refused[day]) for day in days]


def _counted(pairs: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    counter: Counter[str] = Counter()
    for name, number in pairs:
        counter[name] += number
    return counter.most_common()
