"""Making, refreshing and checking JSON web tokens."""

from datetime import timedelta
from typing import cast

from django.conf import settings
from django.db import transaction
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, UntypedToken

from accounts.authentication import INVALID, user_of
from accounts.models import User
from accounts.two_factor import BY_CODE


def access_token(*, user: User, hours: int | None = None, by_code: bool = False) -> str:
    """An access token alone, for ``hours`` (TOKEN_LIFESPAN_HOURS; at most TOKEN_LIFESPAN_MAX_HOURS).

    ``by_code`` is kept in the token: what staff alone may do asks for it (``permissions``).
    """
    lifespan = min(hours or settings.TOKEN_LIFESPAN_HOURS, settings.TOKEN_LIFESPAN_MAX_HOURS)
    token = AccessToken.for_user(user)
    token[BY_CODE] = by_code
    token.set_exp(lifetime=timedelta(hours=lifespan))
    return str(token)


def token_pair(*, user: User, by_code: bool = False) -> dict[str, str]:
    refresh = RefreshToken.for_user(user)
    refresh[BY_CODE] = by_code  # which its access tokens take over
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


def refresh_pair(refresh_token: str) -> dict[str, str]:
    """A new pair for a refresh token, which is spent: the second request with the same one fails.

    Raises AuthenticationFailed: unlike the stock view also for a deleted user, and for a changed password.
    """
    refresh = _refresh_token(refresh_token)
    user = user_of(refresh)
    with transaction.atomic():
        # The stock method's annotation is wrong: it returns what get_or_create() does.
        _, first_use = cast(tuple[BlacklistedToken, bool], refresh.blacklist())
        if not first_use:
            raise AuthenticationFailed(INVALID, code="token_not_valid")
        return token_pair(user=user, by_code=bool(refresh.get(BY_CODE)))


def verify(token: str) -> None:
    """Nothing for a token of either kind that would be let in; else AuthenticationFailed.

    Unlike the stock view it looks at the user: a token that was revoked with its user does not pass.
    """
    try:
        untyped = UntypedToken(token)  # type: ignore[arg-type]
    except TokenError as error:
        raise AuthenticationFailed(INVALID, code="token_not_valid") from error
    jti = untyped[api_settings.JTI_CLAIM]
    if BlacklistedToken.objects.filter(token__jti=jti).exists():
        raise AuthenticationFailed(INVALID, code="token_not_valid")
    user_of(untyped)


def blacklist(refresh_token: str) -> None:
    """End a refresh token, as a log-out does."""
    _refresh_token(refresh_token).blacklist()


def _refresh_token(text: str) -> RefreshToken:
    try:
        return RefreshToken(text)  # type: ignore[arg-type]
    except TokenError as error:
        raise AuthenticationFailed(INVALID, code="token_not_valid") from error
