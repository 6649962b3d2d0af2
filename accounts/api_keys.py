"""API keys: making, recognising and revoking them, and what one may spend in a day.

A key is 128 random bits, so one SHA-256 is enough to store it by: there is nothing to guess that a slow hash
would protect, and a keyed request costs no more than one with a token. It is written as 32 hexadecimal
digits, the form that clients of commercial services expect and some of them check.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import date, timedelta
from ipaddress import ip_address, ip_network

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from accounts import lookup
from accounts.errors import (
    AddressNotAllowed,
    DailyLimitReached,
    InvalidApiKey,
    ScopeMissing,
    TooManyKeys,
    UserSuspended,
)
from accounts.models import ApiKey, User

SCOPES = ("solve", "read")
"""What a key may be for: to solve and report, and to look at history, account and usage."""
MAX_KEYS = 100
"""Keys of one user."""
TOUCH_EVERY = timedelta(minutes=1)
"""How exactly the last use is known: a write for each request would cost more than the look-up."""

_KEY = re.compile(r"[0-9a-f]{32}")


def create(
    *,
    user: User,
    name: str,
    scopes: Sequence[str] = SCOPES,
    allowed_networks: Sequence[str] = (),
    daily_limit: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key, and its text, which is nowhere stored and never shown again.

    `allowed_networks` are addresses or networks it may be used from (none: from anywhere), `daily_limit` the
    credits it may spend in a day of UTC. Raises TooManyKeys.
    """
    text = secrets.token_hex(16)
    with transaction.atomic():
        User.objects.select_for_update().only("pk").get(pk=user.pk)
        if user.api_keys.count() >= MAX_KEYS:
            raise TooManyKeys(MAX_KEYS)
        key = ApiKey.objects.create(
            user=user,
            name=name,
            digest=digest_of(text),
            prefix=text[: ApiKey.PREFIX],
            can_solve="solve" in scopes,
            can_read="read" in scopes,
            allowed_networks=",".join(str(ip_network(network, strict=False)) for network in allowed_networks),
            daily_limit=daily_limit,
        )
    return key, text


def revoke(*, user: User, key_id: int) -> bool:
    """End a key at once; False where the user has no such key."""
    return ApiKey.objects.filter(user=user, pk=key_id).delete()[0] > 0


def identify(text: str, *, address: str | None) -> ApiKey:
    """The key of that text with its user and account loaded, used from `address`.

    Raises InvalidApiKey, UserSuspended and AddressNotAllowed.
    """
    if not is_well_formed(text):
        raise InvalidApiKey
    key = lookup.key_by_digest(digest_of(text))
    if key is None:
        raise InvalidApiKey
    if not key.user.is_active:
        raise UserSuspended
    if key.allowed_networks and not _is_within(address, key.allowed_networks):
        raise AddressNotAllowed(address)
    _touch(key)
    return key


def is_well_formed(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def require(key: ApiKey, scope: str | None) -> None:
    """Nothing for a key that has the scope, else ScopeMissing; None is what no key may do."""
    if scope is None or not (key.can_solve if scope == "solve" else key.can_read):
        raise ScopeMissing(scope)


def spend(*, key: ApiKey, amount: int) -> None:
    """Count credits against the key's limit of the day; to be called in the transaction that charges them.

    It holds the key's row until then; an unlimited key is not touched. Raises DailyLimitReached.
    """
    if key.daily_limit is None or amount <= 0:
        return
    today = _today()
    within = Q(spent_on=today, spent__lte=F("daily_limit") - amount) | Q(
        Q(spent_on__isnull=True) | ~Q(spent_on=today), daily_limit__gte=amount
    )
    spent = Case(When(spent_on=today, then=F("spent") + amount), default=Value(amount))
    if ApiKey.objects.filter(within, pk=key.pk).update(spent=spent, spent_on=today) != 1:
        raise DailyLimitReached(key.daily_limit)


def left_today(key: ApiKey, *, lock: bool = False) -> int | None:
    """Credits that the key may still spend today; None without a limit.

    With `lock` they are read anew and stay true until the end of the caller's transaction.
    """
    if key.daily_limit is None:
        return None
    if lock:
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
    return max((key.daily_limit or 0) - spent_today(key), 0)


def spent_today(key: ApiKey) -> int:
    return key.spent if key.spent_on == _today() else 0


def digest_of(text: str) -> str:
    """What of a key is stored, and what its callbacks are signed with."""
    return hashlib.sha256(text.encode()).hexdigest()


def _touch(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used is None or key.last_used < now - TOUCH_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used=now)


def _is_within(address: str | None, networks: str) -> bool:
    if address is None:
        return False
    return any(ip_address(address) in ip_network(network) for network in networks.split(","))


def _today() -> date:
    return timezone.now().date()
