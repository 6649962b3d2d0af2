"""How many passwords may be tried.

django-axes closes one name for one network after a few failures. Beside it each name has a budget of
LOGIN_GUESSES_PER_HOUR tries from all networks together, so that a hundred addresses get no further than one.
A network that the owner has logged in from has a budget of its own and is not closed by what others do.

Names are counted as they are typed, whether or not such a user exists: the answers tell nothing about it.
"""

import hashlib
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.models import LoginAddress, LoginBudget, User

WINDOW = timedelta(hours=1)
ADDRESSES_KEPT = 50  # a user

# One statement, because a thousand guesses may arrive at once. No row comes back when the budget is spent.
_SPEND = """
    INSERT INTO accounts_loginbudget AS budget (key, window_start, used) VALUES (%s, %s, 1)
    ON CONFLICT (key) DO UPDATE SET
        used = CASE WHEN budget.window_start <= %s THEN 1 ELSE budget.used + 1 END,
        window_start = CASE WHEN budget.window_start <= %s THEN excluded.window_start
            ELSE budget.window_start END
    WHERE budget.window_start <= %s OR budget.used < %s
    RETURNING used"""


def attempted_name(request: HttpRequest | None, credentials: dict[str, str] | None) -> str:
    """The name that is being logged in to, as all counters spell it. Called by django-axes too."""
    name = (credentials or {}).get("username") or ""
    # No user name is longer; a longer one must not overflow a column.
    return name.lower()[:150]


def budget_key(*, name: str, network: str | None) -> str:
    """What a try is counted under: the name, or the name at a network its owner is known from."""
    addresses = LoginAddress.objects.annotate(name=Lower("user__username"))
    known = network is not None and addresses.filter(name=name, network=network).exists()
    return counter_of(name, network if known else None)


def counter_of(name: str, network: str | None = None) -> str:
    return hashlib.sha256(f"{name}|{network or ''}".encode()).hexdigest()


def spend_guess(key: str) -> bool:
    """Count one try; False when the hour's budget is spent."""
    now = timezone.now()
    adapt = connection.ops.adapt_datetimefield_value
    expired = adapt(now - WINDOW)
    limit = settings.LOGIN_GUESSES_PER_HOUR
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, [key, adapt(now), expired, expired, expired, limit])
        row = cursor.fetchone()
    if row is not None and row[0] == 1:  # a new hour of some name: the time to forget the old ones
        LoginBudget.objects.filter(window_start__lte=now - WINDOW).delete()
    return row is not None


def seconds_left(key: str) -> int:
    """Until the budget is full again."""
    budget = LoginBudget.objects.filter(key=key).first()
    if budget is None:
        return 1
    return max(1, int((budget.window_start + WINDOW - timezone.now()).total_seconds()))


def remember_login(*, user: User, network: str | None, key: str) -> None:
    """After the right password: give the try back, and let the owner in from this network from now on."""
    LoginBudget.objects.filter(key=key, used__gt=0).update(used=F("used") - 1)
    if network is None:
        return
    LoginAddress.objects.update_or_create(user=user, network=network, defaults={"last_login": timezone.now()})
    newest = LoginAddress.objects.filter(user=user).order_by("-last_login").values_list("pk", flat=True)
    if old := list(newest[ADDRESSES_KEPT:]):
        LoginAddress.objects.filter(pk__in=old).delete()


def locked_out_response(
    request: HttpRequest, response: HttpResponse, credentials: dict[str, str] | None
) -> HttpResponse:
    """What django-axes answers with: the API's own answer, or a page where the admin's log-in form was."""
    if response.status_code == 429:
        return response
    retry_after = login_retry_after(request)
    page = render(request, "accounts/locked_out.html", {"minutes": -(-retry_after // 60)}, status=429)
    page["Retry-After"] = str(retry_after)
    return page


def login_retry_after(request: HttpRequest) -> int:
    """Seconds after which a locked-out client may try again."""
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    return int(getattr(request, "login_retry_after", cool_off.total_seconds()))
