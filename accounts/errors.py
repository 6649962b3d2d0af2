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
        super().__init__("Too many attempts to log in. Try again later.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
