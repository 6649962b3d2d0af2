"""Why an image did not come, in the words that the run's report counts."""

from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
)


class Failed(IgnoreRequest):
    """One image did not come; `str()` is the reason. The next one may."""


class Refused(IgnoreRequest):
    """What is asked for may not be asked: `str()` is the reason, and the run ends."""


TOO_LARGE = "too large"
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (DownloadTimeoutError, "took too long"),
    (CannotResolveHostError, "the host has no address"),
    (DownloadConnectionRefusedError, "nobody listens there"),
    (DownloadCancelledError, TOO_LARGE),
    (ResponseDataLossError, "broke off"),
)
# Scrapy raises the same class for these and tells them apart by words; the tests watch its words.
_IGNORED = (("max redirections reached", "too many redirects"), ("during decompression", TOO_LARGE))


def reason_of(error: Exception) -> str:
    """The reason for an error of a download.

    Raises:
        Refused: a certificate that does not hold; asking again helps nothing.
    """
    text = _with_causes(error)
    if "certificate verify failed" in text or "VerificationError" in text:
        raise Refused("the certificate does not hold") from error
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, IgnoreRequest):
        return next((reason for words, reason in _IGNORED if words in text), text[:80])
    return "the connection failed"


def _with_causes(error: BaseException | None) -> str:
    """The error's text and that of what caused it, lists of failures inside included."""
    texts = []
    while error is not None:
        texts.append(f"{error!r} {error}")
        error = error.__cause__ or error.__context__
    return " ".join(texts)
