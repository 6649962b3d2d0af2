"""One table: what can go wrong, and what the users of each dialect see for it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from accounts import errors as accounts
from accounts.credits import InsufficientCredits
from ml.recognition.images import ImageError
from solving import errors as solving
from solving.throttles import RateLimited
from solving.uploads import drain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Code:
    """One row of the table.

    `number` and `name` are the JSON dialect's errorId and errorCode (never 11: one client then asks a public
    host for its own address), `form` the form dialect's word, `status` DeathByCaptcha's HTTP status.
    """

    number: int
    name: str
    form: str
    status: int
    text: str


KEY = Code(1, "ERROR_KEY_DOES_NOT_EXIST", "ERROR_KEY_DOES_NOT_EXIST", 403, "There is no such API key.")
WRONG_KEY = Code(1, "ERROR_KEY_DOES_NOT_EXIST", "ERROR_WRONG_USER_KEY", 403, "This is no API key.")
BUSY = Code(2, "ERROR_NO_SLOT_AVAILABLE", "ERROR_NO_SLOT_AVAILABLE", 503, "Try again in a moment.")
TOO_OFTEN = Code(
    2, "ERROR_NO_SLOT_AVAILABLE", "MAX_USER_TURN", 503, "Too many requests: try again in a moment."
)
EMPTY = Code(3, "ERROR_ZERO_CAPTCHA_FILESIZE", "ERROR_ZERO_CAPTCHA_FILESIZE", 400, "The image is empty.")
TOO_BIG = Code(
    4, "ERROR_TOO_BIG_CAPTCHA_FILESIZE", "ERROR_TOO_BIG_CAPTCHA_FILESIZE", 413, "The image is too big."
)
BALANCE = Code(10, "ERROR_ZERO_BALANCE", "ERROR_ZERO_BALANCE", 403, "There are not enough credits.")
UNSOLVABLE = Code(
    12, "ERROR_CAPTCHA_UNSOLVABLE", "ERROR_CAPTCHA_UNSOLVABLE", 200, "The captcha was not solved."
)
NO_METHOD = Code(14, "ERROR_NO_SUCH_METHOD", "ERROR_EMPTY_ACTION", 404, "There is no such method.")
NO_IMAGE = Code(
    15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED", "ERROR_IMAGE_TYPE_NOT_SUPPORTED", 400,
    "The file is no image that can be read.",
)  # fmt: skip
WRONG_EXTENSION = Code(
    15, "ERROR_IMAGE_TYPE_NOT_SUPPORTED", "ERROR_WRONG_FILE_EXTENSION", 400,
    "Images are JPEG, PNG, GIF, BMP or WebP.",
)  # fmt: skip
NO_TASK = Code(16, "ERROR_NO_SUCH_CAPCHA_ID", "ERROR_WRONG_CAPTCHA_ID", 404, "You have no such captcha.")
WRONG_ID = Code(16, "ERROR_NO_SUCH_CAPCHA_ID", "ERROR_WRONG_ID_FORMAT", 404, "The id must be a number.")
TOLD_BEFORE = Code(17, "ERROR_DUPLICATE_REPORT", "ERROR_DUPLICATE_REPORT", 200, "It was reported before.")
NOT_RECORDED = Code(18, "ERROR_REPORT_NOT_RECORDED", "REPORT_NOT_RECORDED", 200, "The report was not taken.")
ADDRESS = Code(21, "ERROR_IP_BLOCKED", "IP_BANNED", 403, "The API key may not be used from your address.")
TASK_ABSENT = Code(22, "ERROR_TASK_ABSENT", "ERROR_BAD_PARAMETERS", 400, "The request has no task.")
TASK_TYPE = Code(23, "ERROR_TASK_NOT_SUPPORTED", "ERROR_BAD_PARAMETERS", 400, "Only images are solved.")
NO_UPLOAD = Code(3, "ERROR_ZERO_CAPTCHA_FILESIZE", "ERROR_UPLOAD", 400, "The form has no file.")
PARAMETERS = Code(
    110, "ERROR_BAD_PARAMETERS", "ERROR_BAD_PARAMETERS", 400, "The request cannot be understood."
)
INSECURE = Code(24, "ERROR_HTTPS_REQUIRED", "ERROR_HTTPS_REQUIRED", 403, "Use https.")

OF_IMAGES = {
    "empty": EMPTY,
    "too_large": TOO_BIG,
    "too_many_pixels": TOO_BIG,
    "unsupported_format": WRONG_EXTENSION,
}
"""By the code of an ImageError; every other one is NO_IMAGE."""

OF_ERRORS: dict[type[Exception], Code] = {
    accounts.InvalidApiKey: KEY,
    accounts.UserSuspended: KEY,
    accounts.ScopeMissing: KEY,
    accounts.AddressNotAllowed: ADDRESS,
    accounts.DailyLimitReached: BALANCE,
    InsufficientCredits: BALANCE,
    solving.AccountGone: KEY,
    solving.AlreadyReported: TOLD_BEFORE,
    solving.NotReportable: NOT_RECORDED,
    solving.ReportTooLate: NOT_RECORDED,
    solving.ReportsLimited: NOT_RECORDED,
    solving.NoReader: BUSY,
    RateLimited: TOO_OFTEN,
    OperationalError: BUSY,
    InterfaceError: BUSY,
    RequestDataTooBig: TOO_BIG,
    TooManyFieldsSent: PARAMETERS,
    TooManyFilesSent: PARAMETERS,
    SuspiciousOperation: PARAMETERS,
    UnreadablePostError: PARAMETERS,
}


class DialectError(Exception):
    """What a dialect has a word for and the service has not."""

    def __init__(self, code: Code, text: str = "") -> None:
        super().__init__(text or code.text)
        self.code = code


def code_of(error: Exception) -> Code:
    """What is answered to an exception. A defect of ours is logged and asks the client to try again."""
    if isinstance(error, DialectError):
        return error.code
    if isinstance(error, ImageError):
        return OF_IMAGES.get(error.code, NO_IMAGE)
    for kind, code in OF_ERRORS.items():
        if isinstance(error, kind):
            return code
    logger.error("a defect, answered with %s", BUSY.name, exc_info=error)
    return BUSY


def text_of(error: Exception, code: Code) -> str:
    """A sentence for people: what the service says about errors of its own, else what the table says."""
    if isinstance(error, ImageError):
        return error.sentence
    said = (DialectError, accounts.AccountError, solving.SolvingError)
    return str(error) if isinstance(error, said) else code.text


View = Callable[..., HttpResponse]


def speaks(render: Callable[[HttpRequest, Code, str], HttpResponse]) -> Callable[[View], View]:
    """A view that answers each exception in the words of a dialect: `render` makes them."""

    def decorate(view: View) -> View:
        @csrf_exempt  # a key in the request authenticates, never a cookie
        @wraps(view)
        def answered(request: HttpRequest, **kwargs: object) -> HttpResponse:
            try:
                if settings.SECURE_SSL_REDIRECT and not request.is_secure():
                    raise DialectError(INSECURE)  # clients follow a redirect without their body
                return view(request, **kwargs)
            except Exception as error:
                code = code_of(error)
                drain(request)
                return render(request, code, text_of(error, code))

        return answered

    return decorate
