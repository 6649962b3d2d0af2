"""Who is calling: a JWT that still stands for a user, looked up once."""

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt import authentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.models import User

INVALID = "The token is invalid or has expired."


class JWTAuthentication(authentication.JWTAuthentication):
    """``Authorization: Bearer …``. A deleted, suspended or password-changed user's token is worth nothing at once.

    One query loads the user together with the credit account: ``request.user.credit_account`` costs no other.
    """

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return AccessToken(raw_token)  # type: ignore[arg-type]
        except TokenError as error:
            raise AuthenticationFailed(INVALID, code="token_not_valid") from error

    def get_user(self, validated_token: Token) -> User:
        return user_of(validated_token)


def user_of(token: Token) -> User:
    """The user that a token was made for, with the credit account.

    Raises AuthenticationFailed with the code ``user_not_found``, ``user_inactive`` or ``password_changed``.
    """
    try:
        user_id = int(token[api_settings.USER_ID_CLAIM])
    except (KeyError, TypeError, ValueError) as error:
        raise AuthenticationFailed(INVALID, code="token_not_valid") from error
    user = User.objects.select_related("credit_account").filter(pk=user_id).first()
    if user is None:
        raise AuthenticationFailed("The token's user does not exist any more.", code="user_not_found")
    if not user.is_active:
        raise AuthenticationFailed("The token's user is suspended.", code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise AuthenticationFailed("The password was changed after this token was made.", code="password_changed")
    return user


class JWTScheme(SimpleJWTScheme):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema calls it."""

    target_class = "accounts.authentication.JWTAuthentication"
    name = "bearer"
