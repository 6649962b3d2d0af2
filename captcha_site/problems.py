"""Every error as an answer: RFC 9457 problems below ``/api/``, the original service's ``detail`` elsewhere.

Domain errors know nothing of HTTP, or carry a `status` and a stable `code`; this module is where they become
responses. What went wrong is said in `detail`; programs decide by `code`.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.template import TemplateDoesNotExist, loader
from django.urls import Resolver404, resolve
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions

from captcha_site import logs
from ml.recognition.images import ImageError

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
_NAMED = re.compile(r"[\w.-]+: ")
"""A text that begins with the name of a field, which is told as it was sent."""
TYPE_PREFIX = "urn:captcha-solving-service:problem:"
RETRY_AFTER_OUTAGE = 2
"""Seconds after which a client may ask again when the database did not answer."""

IMAGE_ERRORS: Mapping[str, tuple[int, str]] = {
    "empty": (400, "image_empty"),
    "too_large": (413, "image_too_large"),
    "not_an_image": (400, "image_not_an_image"),
    "unsupported_format": (400, "image_unsupported_format"),
    "truncated": (400, "image_truncated"),
    "too_many_pixels": (400, "image_too_many_pixels"),
    "too_small": (400, "image_too_small"),
    "animated": (400, "image_animated"),
}
"""Status and code of each way in which an upload is not a picture that can be read."""

DJANGO_ERRORS: Mapping[type[Exception], tuple[int, str, str]] = {
    Http404: (404, "not_found", "There is nothing at this address."),
    PermissionDenied: (403, "permission_denied", "You may not do this."),
    RequestDataTooBig: (413, "body_too_large", "The request is larger than this service accepts."),
    TooManyFieldsSent: (400, "too_many_fields", "The form has too many fields."),
    TooManyFilesSent: (400, "too_many_files", "The form has too many files."),
    SuspiciousOperation: (400, "bad_request", "The request cannot be understood."),
    UnreadablePostError: (400, "body_unreadable", "The request's body did not arrive whole."),
    RecursionError: (400, "body_malformed", "The JSON is nested too deeply."),
}
"""Status, code and text of what Django itself raises; the first class that fits counts."""


@dataclass(frozen=True)
class Problem:
    """An error on its way to the client. `extensions` are further members of the body."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, request: HttpRequest, *, costs_credits: bool = False) -> HttpResponse:
        """The response; `costs_credits` where the client must be told that nothing was charged."""
        headers = dict(self.headers)
        if "Retry-After" in headers and self.status == HTTPStatus.TOO_MANY_REQUESTS:
            headers.setdefault("RateLimit", f'"default";r=0;t={headers["Retry-After"]}')
        if request.path.startswith("/api/"):
            body = self._as_rfc9457(costs_credits)
            content_type = CONTENT_TYPE
        else:
            detail = (
                f"Oops! {_sentence(self.detail)} No credits were taken." if costs_credits else self.detail
            )
            body = {"detail": detail}
            content_type = "application/json"
        return HttpResponse(json.dumps(body), status=self.status, content_type=content_type, headers=headers)

    def _as_rfc9457(self, costs_credits: bool) -> dict[str, Any]:
        detail = _sentence(self.detail)
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": f"{detail} Nothing was charged." if costs_credits else detail,
            "code": self.code,
        }
        if costs_credits:
            body["charged"] = 0
        return body | dict(self.extensions)


DATABASE_GONE = (OperationalError, InterfaceError)
OUTAGE = Problem(
    503, "unavailable", "The service cannot answer now. Try again.", {"Retry-After": str(RETRY_AFTER_OUTAGE)}
)


def is_outage(error: BaseException | None) -> bool:
    """A connection that ends in mid-statement is a bare DatabaseError of psycopg2, no subclass."""
    return isinstance(error, DATABASE_GONE) or type(error) is DatabaseError


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's EXCEPTION_HANDLER. None for a defect of ours, which ends as a logged 500.

    A view with `costs_credits = True` has it said that nothing was charged.
    """
    problem = problem_of(error)
    if problem is None:
        return None
    view, request = context.get("view"), context["request"]
    return problem.answer(request, costs_credits=getattr(view, "costs_credits", False))


def problem_of(error: Exception) -> Problem | None:
    """What an exception says to the client; None for one that no client can cause."""
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, ImageError):
        status, code = IMAGE_ERRORS[error.code]
        return Problem(status, code, error.sentence)
    if isinstance(getattr(error, "status", None), int) and isinstance(getattr(error, "code", None), str):
        return _of_domain(error)
    if is_outage(error):
        logger.error("the database did not answer: %s", error)
        return OUTAGE
    for kind, (status, code, detail) in DJANGO_ERRORS.items():
        if isinstance(error, kind):
            return Problem(status, code, detail)
    return None


def _of_domain(error: Any) -> Problem:
    """An error of one of the apps, which carries its status, code and perhaps headers and further data."""
    return Problem(
        error.status,
        error.code,
        str(error),
        headers=getattr(error, "headers", {}),
        extensions=getattr(error, "extensions", {}),
    )


def _of_framework(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if isinstance(error, exceptions.Throttled):
        return _throttled(error, headers)
    if isinstance(error, exceptions.ValidationError):
        errors = [{"field": name, "message": message} for name, message in _messages(error.detail)]
        text = " ".join(": ".join(filter(None, one.values())) for one in errors)
        return Problem(error.status_code, "invalid", text, headers, {"errors": errors})
    detail: Any = error.detail
    code = error.get_codes()
    if isinstance(detail, dict):  # simplejwt's errors: {"detail": …, "code": …, "messages": […]}
        return Problem(error.status_code, str(detail.get("code", "")), str(detail.get("detail", "")), headers)
    return Problem(error.status_code, code if isinstance(code, str) else "error", str(detail), headers)


def _throttled(error: exceptions.Throttled, headers: dict[str, str]) -> Problem:
    wait = max(1, math.ceil(getattr(error, "wait", None) or 1))
    headers["Retry-After"] = str(wait)
    headers |= getattr(error, "rate_limit_headers", {})  # of a throttle that knows its own policy
    return Problem(429, "throttled", f"Too many requests. Try again in {wait} s.", headers)


def _messages(detail: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(field, message) of each complaint of a serializer, nested ones as ``a.b``."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            inner = "" if key == "non_field_errors" else str(key)
            yield from _messages(value, ".".join(filter(None, (name, inner))))
    elif isinstance(detail, list):
        for number, value in enumerate(detail):
            nested = isinstance(value, (dict, list))
            yield from _messages(value, f"{name}.{number}".lstrip(".") if nested else name)
    else:
        yield name, str(detail)


def _sentence(text: str) -> str:
    """Library messages are fragments; an answer is made of sentences."""
    text = text.strip()
    if not text:
        return "The request was refused."
    ended = text if text[-1] in ".!?" else f"{text}."
    if _NAMED.match(text):
        return ended
    return ended[0].upper() + ended[1:]


# Django's handlers for what no view of the REST framework answers.


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, Problem(400, "bad_request", "The request cannot be understood."), "400.html")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, Problem(403, "permission_denied", "You may not do this."), "403.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, Problem(404, "not_found", "There is nothing at this address."), "404.html")


def not_allowed(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """The empty 405 of a view that takes forms alone; for browsers a page with a way back."""
    if "text/html" not in request.headers.get("Accept", ""):
        return answer
    problem = Problem(
        405, "method_not_allowed", "This address takes a form and shows nothing.", {"Allow": answer["Allow"]}
    )
    return _plain(request, problem, "405.html")


def server_error(request: HttpRequest) -> HttpResponse:
    """A 500; or a 503 for a page whose database went away outside of its view, such as in its session."""
    if is_outage(sys.exception()):
        return _plain(request, OUTAGE, "503.html")
    return _plain(
        request, Problem(500, "internal_error", "An error of the service, which was logged."), "500.html"
    )


def refused_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: the form was older than the log-in, or came from another site."""
    return permission_denied(request, PermissionDenied())


def domain_error(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """The answer to an error of one of the apps that a page let through; None for any other error."""
    if is_outage(error):
        logger.error("the database did not answer: %s", error)
        return _plain(request, OUTAGE, "503.html")
    if not isinstance(getattr(error, "status", None), int) or not isinstance(
        getattr(error, "code", None), str
    ):
        return None
    problem = _of_domain(error)
    return _plain(request, problem, f"{problem.status}.html")


@csrf_exempt  # else whatever but a GET would be told that it is forbidden, and not that nothing is here
def unknown_endpoint(request: HttpRequest) -> HttpResponse:
    """The last route below ``/api/``: a problem, where DEBUG would show Django's page."""
    known = _without_slash(request.path_info)
    if known is None:
        return not_found(request, Http404())
    detail = f"There is nothing at this address. {known}, without the slash at its end, is one."
    return Problem(404, "not_found", detail).answer(request)


def _without_slash(path: str) -> str | None:
    """The known address that a client meant which put a slash at its end."""
    shorter = path.rstrip("/")
    if shorter == path:
        return None
    try:
        return None if resolve(shorter).func is unknown_endpoint else shorter
    except Resolver404:
        return None


def _wait(problem: Problem) -> str:
    """When to come back, as people say it."""
    seconds = int(problem.headers.get("Retry-After", 0))
    if seconds < 60:
        return "in a minute"
    minutes = math.ceil(seconds / 60)
    if minutes <= 90:
        return f"in about {minutes} minutes"
    return f"in about {math.ceil(minutes / 60)} hours"


def _plain(request: HttpRequest, problem: Problem, template: str) -> HttpResponse:
    """The problem as JSON below ``/api/`` and for programs; a page for browsers where there is a template."""
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return problem.answer(request)
    try:
        page = loader.render_to_string(
            template, {"problem": problem, "request_id": logs.request_id.get(), "wait": _wait(problem)}
        )
    except TemplateDoesNotExist:
        return problem.answer(request)
    return HttpResponse(page, status=problem.status, headers=dict(problem.headers))
