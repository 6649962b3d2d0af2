"""A person's own log-ins by browser: when, from where, by what; and ending them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.client_address import client_address
from accounts.models import LoginSession, User
from accounts.session_store import NOTE

# The first that fits: Edge and Opera name Chrome too, and Chrome names Safari.
_BROWSERS = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari/", "Safari"),
]
_SYSTEMS = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
]


@dataclass(frozen=True)
class OwnSession:
    handle: str
    """Stands for the session on a page, which shall not hold what opens it."""
    begun: datetime | None
    address: str | None
    browser: str
    is_this: bool


def note(request: HttpRequest) -> None:
    """Keep with a session that has just logged in when, from where and by what."""
    request.session[NOTE] = {
        "begun": timezone.now().isoformat(),
        "address": client_address(request),
        "browser": name_of(request.headers.get("User-Agent", "")),
    }


def of(user: User, *, this: str | None) -> list[OwnSession]:
    """Those that have not expired, the newest first; `this` is the key of the one that asks."""
    rows = user.login_sessions.filter(expire_date__gt=timezone.now()).order_by("-begun")
    return [
        OwnSession(_handle(row.session_key), row.begun, row.address, row.browser, row.session_key == this)
        for row in rows
    ]


def end(*, user: User, handle: str) -> bool:
    """End one log-in at once; False where there is none of that name."""
    keys = user.login_sessions.values_list("session_key", flat=True)
    ended = [key for key in keys if constant_time_compare(_handle(key), handle)]
    return bool(LoginSession.objects.filter(user=user, session_key__in=ended).delete()[0])


def end_others(*, user: User, this: str | None) -> int:
    """End every log-in but one; how many there were."""
    return int(user.login_sessions.exclude(session_key=this).delete()[0])


def name_of(user_agent: str) -> str:
    """Such as ``Firefox on Linux``; what is no known browser by its own first word."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if browser:
        return f"{browser} on {system}" if system else browser
    return re.sub(r"[^ -~]", "", user_agent).partition(" ")[0][:60]


def _first(names: Sequence[tuple[str, str]], text: str) -> str:
    return next((name for sign, name in names if sign in text), "")


def _handle(session_key: str) -> Any:
    return salted_hmac("accounts.own_sessions", session_key, algorithm="sha256").hexdigest()[:32]
