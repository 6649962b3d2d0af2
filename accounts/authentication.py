"""Who is calling: a JWT that still stands for a user, or an API key; looked up once."""

from functools import lru_cache
from typing import Any

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request
from rest_framework_simplejwt import authentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import aware_utcnow, get_md5_hash_password

from accounts import api_keys, lookup
from accounts.client_address import client_address
from accounts.errors import AccountError, AddressNotAllowed
from accounts.models import ApiKey, User

INVALID = "The token is invalid or has expired."


class UserRequest(Request):
    """What a view gets behind ``SignedIn``: ``user`` comes with the credit account loaded."""

    user: User


def api_key_of(request: Request) -> ApiKey | None:
    """The API key that a request was made with; None for a token."""
    return request.auth if isinstance(request.auth, ApiKey) else None


class JWTAuthentication(authentication.JWTAuthentication):
    """``Authorization: Bearer …``, refused at once when the user is deleted, suspended or has a new password.

    One query loads the user together with the credit account: ``request.user.credit_account`` costs no other.
    """

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            token = _verified(raw_token)
            token.check_exp(current_time=aware_utcnow())
        except TokenError as error:
            raise AuthenticationFailed(INVALID, code="token_not_valid") from error
        return token

    def get_user(self, validated_token: Token) -> User:  # type: ignore[override]
        return user_of(validated_token)


def user_of(token: Token) -> User:
    """The user that a token was made for, with the credit account.

    Raises AuthenticationFailed with the code ``user_not_found``, ``user_inactive`` or ``password_changed``.
    """
    try:
        user_id = int(token[api_settings.USER_ID_CLAIM])
    except (KeyError, TypeError, ValueError) as error:
        raise AuthenticationFailed(INVALID, code="token_not_valid") from error
    user = lookup.user_by_id(user_id)
    if user is None:
        raise AuthenticationFailed("The token's user does not exist any more.", code="user_not_found")
    if not user.is_active:
        raise AuthenticationFailed("The token's user is suspended.", code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise AuthenticationFailed("The password was changed since.", code="password_changed")
    return user


@lru_cache(maxsize=1024)
def _verified(raw_token: bytes) -> AccessToken:
    """The token with a good signature; when it expires has to be looked at anew.

    What a token's bytes say never changes, and decoding them takes 0.1 to 0.3 ms of a solve's 3.
    """
    return AccessToken(raw_token)  # type: ignore[arg-type]


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Api-Key …``. ``request.auth`` is the key: what it may do is up to the permission."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "api-key":
            return None
        try:
            key = api_keys.identify(text.strip(), address=client_address(request._request))
        except AddressNotAllowed as error:
            raise PermissionDenied(str(error), code=error.code) from error
        except AccountError as error:
            raise AuthenticationFailed(str(error), code=error.code) from error
        return key.user, key


class JWTScheme(SimpleJWTScheme):
    """How the OpenAPI schema calls it."""

    target_class = "accounts.authentication.JWTAuthentication"
    name = "bearer"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "api_key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word `Api-Key`, a space and the key.",
        }
