"""Middleware that pages need, passed by where no page is: at the addresses that take an image.

A token or a key is all that authenticates there, so that no log-in of a session and no message is looked
at. Most of what is spared is building the same content security policy twice anew, 0.1 ms of CPU.
Sessions and CSRF stay as they are: Django's deployment checks know them by their names.
"""

from typing import Any

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from captcha_site import problems

WITHOUT_PAGES = (
    "/api/v1/solves",
    "/upload_captcha",
    "/createTask",
    "/getTaskResult",
    "/in.php",
    "/res.php",
    "/api/captcha",
)
"""How the paths begin where only a token authenticates and every answer is for a program."""


class _ForPages(MiddlewareMixin):
    """Passes requests by that are for no page; a middleware's own methods see the others."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(WITHOUT_PAGES):
            return self.pass_by(request)
        return super().__call__(request)

    def pass_by(self, request: HttpRequest) -> Any:
        return self.get_response(request)


class AuthenticationMiddleware(_ForPages, auth.AuthenticationMiddleware):
    pass


class MessageMiddleware(_ForPages, messages.MessageMiddleware):
    pass


class ContentSecurityPolicyMiddleware(_ForPages, CSPMiddleware):
    """The policy is on every answer; where no page can alter it, it is built once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = build_policy()

    def pass_by(self, request: HttpRequest) -> Any:
        response: Any = self.get_response(request)
        if not settings.DEBUG:
            response.headers.setdefault(HEADER, self.policy)
            return response
        return self.process_response(request, response)  # leaves Django's pages of errors alone


class DomainErrorMiddleware(MiddlewareMixin):
    """An app's error that a page did not handle is answered as the API would: by its status, as a page."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return problems.domain_error(request, error)
