"""How often a user or an address may ask: a counter a window, two small operations on the shared cache.

The rates are those of REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]. The REST framework's own throttles keep the
time of every request of the window in one cache entry, which at thousands a minute costs more than a solve.
"""

import logging
import time
from functools import lru_cache

from django.core.cache import cache
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from accounts.client_address import client_network

logger = logging.getLogger(__name__)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class RateLimited(Throttled):
    """Throttled, with the headers that say by which policy."""

    def __init__(self, *, wait: float, headers: dict[str, str]) -> None:
        super().__init__(wait=wait)
        self.rate_limit_headers = headers


def count_request(scope: str, subject: str, amount: int = 1) -> dict[str, str]:
    """Count `amount` requests of that user or address; the headers that say what is left, or RateLimited.

    They are `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10). A cache that does
    not answer stops no solving.
    """
    limit, period = parse_rate(api_settings.DEFAULT_THROTTLE_RATES[scope])
    now = time.time()
    window = int(now // period)
    try:
        used = _count(f"throttle.{scope}.{subject}.{window}", period, amount)
    except Exception:
        logger.exception("the cache that counts requests does not answer")
        return {}
    reset = (window + 1) * period - now
    headers = {
        "RateLimit-Policy": f'"{scope}";q={limit};w={period}',
        "RateLimit": f'"{scope}";r={max(limit - used, 0)};t={int(reset) + 1}',
    }
    if used > limit:
        raise RateLimited(wait=reset, headers=headers)
    return headers


class WindowThrottle(BaseThrottle):
    """At most N requests in each window of S seconds, by user; by address for whoever has no account."""

    scope: str

    def allow_request(self, request: Request, view: APIView) -> bool:
        """True, or RateLimited. Whoever is not signed in counts as `anon`, whatever is asked."""
        if request.user.is_authenticated:
            headers = count_request(self.scope, f"user-{request.user.pk}")
        else:
            headers = count_request("anon", client_network(request._request) or "local")
        request.rate_limit_headers = headers  # type: ignore[attr-defined]
        return True


class SolveThrottle(WindowThrottle):
    scope = "solve"


class ReadThrottle(WindowThrottle):
    """For what costs nothing: the history, the types."""

    scope = "user"


@lru_cache
def parse_rate(rate: str) -> tuple[int, int]:
    """(requests, seconds) of a rate such as ``6000/min``."""
    number, _, period = rate.partition("/")
    return int(number), _SECONDS[period[0]]


def _count(key: str, period: int, amount: int) -> int:
    """How much was counted with this key so far. Both operations are atomic in every cache of Django's."""
    try:
        return cache.incr(key, amount)
    except ValueError:  # the first of its window, or another process was the first just now
        return amount if cache.add(key, amount, period + 1) else cache.incr(key, amount)
