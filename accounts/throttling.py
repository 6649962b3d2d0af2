"""Request limits that count by the client's network, never by a header that the client may write."""

import math
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from accounts.client_address import client_network
from accounts.errors import TooManyRequests


class AddressThrottle(SimpleRateThrottle):
    """Counts by network, signed in or not. ``scope`` names the rate in DEFAULT_THROTTLE_RATES."""

    def get_ident(self, request: Request) -> str:
        return client_network(request) or "local"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return self.cache_format % {"scope": self.scope, "ident": self.get_ident(request)}


class UserOrAddressThrottle(AddressThrottle):
    """Counts by user, and by network for those who are not signed in."""

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        user = request.user
        ident = f"user-{user.pk}" if user is not None and user.is_authenticated else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": ident}


class SignUpThrottle(AddressThrottle):
    scope = "sign_up"


class TokenThrottle(AddressThrottle):
    scope = "token"


class _Look(AddressThrottle):
    """Says whether there is room left, and counts nothing."""

    def throttle_success(self) -> bool:
        return True


def refuse_too_many(request: HttpRequest, scope: str) -> None:
    """Raises TooManyRequests when the client's network asks more often than the rate of ``scope`` allows."""
    _refuse(request, scope, AddressThrottle)


def refuse_when_full(request: HttpRequest, scope: str) -> None:
    """The same for what is counted later, by ``count``, once it came to something."""
    _refuse(request, scope, _Look)


def count(request: HttpRequest, scope: str) -> None:
    """Counts, and refuses nothing: what was asked for is done."""
    _of(AddressThrottle, scope).allow_request(request, None)


def _refuse(request: HttpRequest, scope: str, kind: type[AddressThrottle]) -> None:
    throttle = _of(kind, scope)
    if not throttle.allow_request(request, None):
        raise TooManyRequests(max(1, math.ceil(throttle.wait() or 1)))


def _of(kind: type[AddressThrottle], scope: str) -> Any:
    """Any, as a page has no request of the REST framework, and these throttles need none."""
    return type("PageThrottle", (kind,), {"scope": scope})()
