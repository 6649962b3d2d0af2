"""What can go wrong with a solve. Each error carries its HTTP status and its stable code."""

from collections.abc import Mapping
from typing import Any, ClassVar


class SolvingError(Exception):
    """Base of this app's errors. The text is one or two sentences for the client."""

    status: ClassVar[int]
    code: ClassVar[str]
    headers: Mapping[str, str] = {}
    extensions: Mapping[str, Any] = {}


class Refused(SolvingError):
    """The image was looked at and not answered; the refusal is in the history, at no charge."""

    status = 422
    code = "unsolvable"

    def __init__(self, *, solve_id: int, reason_code: str, reason: str) -> None:
        super().__init__(f"The captcha was not solved: {reason}.")
        self.extensions = {"id": solve_id, "reason_code": reason_code, "reason": reason}


class AccountGone(SolvingError):
    """The user was deleted between the check of the token and the charge."""

    status = 401
    code = "user_not_found"
    headers = {"WWW-Authenticate": 'Bearer realm="api"'}

    def __init__(self) -> None:
        super().__init__("The account no longer exists.")


class NoReader(SolvingError):
    """This process has no model to read with."""

    status = 503
    code = "no_reader"
    headers = {"Retry-After": "30"}

    def __init__(self) -> None:
        super().__init__("No reader is installed on this server.")


class KeyReused(SolvingError):
    """An Idempotency-Key came with a request that differs from its first one."""

    status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request. A repetition must ask exactly the same; "
            "a new request needs a new key."
        )


class StillRunning(SolvingError):
    """The first request with this Idempotency-Key has not been answered yet."""

    status = 409
    code = "idempotency_key_in_use"
    headers = {"Retry-After": "1"}

    def __init__(self) -> None:
        super().__init__(
            "The first request with this Idempotency-Key is still running. Repeat it in a moment."
        )


class MalformedKey(SolvingError):
    status = 400
    code = "idempotency_key_malformed"

    def __init__(self, longest: int) -> None:
        super().__init__(f"An Idempotency-Key is 1 to {longest} visible ASCII characters.")


class UploadError(SolvingError):
    """The request does not carry exactly one image. `status` and `code` differ from case to case."""

    status: int  # type: ignore[misc]
    code: str  # type: ignore[misc]

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class InvalidParameter(SolvingError):
    """A hint or a filter that has no such value."""

    status = 400
    code = "invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.extensions = {"errors": [{"field": field, "message": message}]}


class NotReportable(SolvingError):
    """There was no answer that could be right or wrong."""

    status = 409
    code = "not_reportable"

    def __init__(self) -> None:
        super().__init__("This captcha was refused: there is no answer to report.")


class AlreadyReported(SolvingError):
    status = 409
    code = "already_reported"

    def __init__(self) -> None:
        super().__init__("This answer was reported before.")


class ReportTooLate(SolvingError):
    """The image is not kept any more, so that nobody could look at it."""

    status = 410
    code = "report_too_late"

    def __init__(self, minutes: int) -> None:
        super().__init__(f"An answer can be reported for {minutes} minutes, as long as its image is kept.")


class ReportsLimited(SolvingError):
    """Most of the user's reports turned out wrong."""

    status = 429
    code = "reports_limited"
    headers = {"Retry-After": "86400"}

    def __init__(self, notice: str) -> None:
        super().__init__(notice)
