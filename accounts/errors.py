"""What can go wrong with an account, and how it is told over HTTP.

``status`` and ``code`` are the whole mapping: what answers HTTP reads them, nothing else knows about it.
"""

from typing import Any, ClassVar


class AccountError(Exception):
    """A refusal with a stable ``code``; ``str(error)`` is the sentence for the caller."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "account_error"

    @property
    def headers(self) -> dict[str, str]:
        return {}

    @property
    def extensions(self) -> dict[str, Any]:
        """Further members of the answer, by name."""
        return {}


class DuplicateUsername(AccountError):
    status = 409
    code = "duplicate_username"

    def __init__(self, username: str) -> None:
        super().__init__(f"The user name {username} is taken.")


class DuplicateEmail(AccountError):
    status = 409
    code = "duplicate_email"

    def __init__(self, email: str) -> None:
        super().__init__(f"The e-mail address {email} belongs to another account.")


class OwnAccount(AccountError):
    status = 409
    code = "own_account"

    def __init__(self, verb: str) -> None:
        super().__init__(f"Nobody can {verb} their own account.")


class LastAdmin(AccountError):
    status = 409
    code = "last_admin"

    def __init__(self) -> None:
        super().__init__("This is the last active administrator; there must be another one first.")


class InvalidCredentials(AccountError):
    status = 401
    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("Incorrect username or password")

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class TooManyAttempts(AccountError):
    """Log-in is closed for a while: for this name from this address, or for this name from new addresses."""

    status = 429
    code = "too_many_attempts"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after  # seconds
        super().__init__(
            f"Too many attempts to log in. Try again in {_minutes(retry_after)}, or use an address "
            "that you logged in from before. Calls with an API key are not affected."
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class TooManyRequests(AccountError):
    """A page was asked for more often than its rate allows. ``retry_after`` is in seconds."""

    status = 429
    code = "throttled"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"Too many requests. Try again in {retry_after} s.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class InvalidApiKey(AccountError):
    status = 401
    code = "api_key_not_valid"

    def __init__(self) -> None:
        super().__init__("There is no such API key.")


class UserSuspended(AccountError):
    status = 401
    code = "user_inactive"

    def __init__(self) -> None:
        super().__init__("The API key's user is suspended.")


class AddressNotAllowed(AccountError):
    status = 403
    code = "address_not_allowed"

    def __init__(self, address: str | None) -> None:
        super().__init__(f"This API key may not be used from {address or 'an unknown address'}.")


class ScopeMissing(AccountError):
    """The key is not for this. ``scope`` is None for what no key may do, such as making keys."""

    status = 403
    code = "scope_missing"

    def __init__(self, scope: str | None) -> None:
        super().__init__(
            f"This API key lacks the scope {scope}."
            if scope
            else "No API key may do this: log in for a token."
        )


class TooManyKeys(AccountError):
    status = 409
    code = "too_many_api_keys"

    def __init__(self, most: int) -> None:
        super().__init__(f"A user has at most {most} API keys: revoke one first.")


class DailyLimitReached(AccountError):
    """The key has a limit of the day, which this would exceed. Nothing was taken."""

    status = 402
    code = "daily_limit_reached"

    def __init__(self, daily_limit: int) -> None:
        super().__init__(f"This API key may spend {daily_limit} credits a day (UTC), and no more today.")


def _minutes(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"
