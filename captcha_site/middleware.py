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
from django.contrib.auth import SESSION_KEY
from django.contrib.auth import middleware as auth
from django.contrib.auth.views import redirect_to_login
from django.contrib.messages import middleware as messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import cached_property
from django_otp.middleware import OTPMiddleware

from accounts import own_sessions, two_factor
from accounts.models import User
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


class OneTimeCodeMiddleware(OTPMiddleware):
    """Knows whether the code of a second factor was given in this session."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(WITHOUT_PAGES):
            return self.get_response(request)
        return super().__call__(request)


class LogInNoteMiddleware(_ForPages):
    """Keeps with a session when and from where it was logged in, whichever door it came in by."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(WITHOUT_PAGES):
            return self.pass_by(request)
        before = self._user_of(request)
        response = self.get_response(request)
        if self._user_of(request) not in (before, None):
            own_sessions.note(request)
        return response

    def _user_of(self, request: HttpRequest) -> str | None:
        # Nothing is loaded, and no answer depends on a cookie, where there is no session yet.
        known = settings.SESSION_COOKIE_NAME in request.COOKIES or request.session.accessed
        return request.session.get(SESSION_KEY) if known else None


class SecondFactorMiddleware(_ForPages):
    """Whichever door a session came in by: where there is a second factor, the password alone opens nothing.

    It stands before every page instead of at each log-in: a door that is added later is behind it too.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.path_info.startswith(self.open):
            return None
        user = request.user
        if not isinstance(user, User) or user.is_verified():  # type: ignore[attr-defined]
            return None
        if two_factor.has_device(user):
            return self._refused(request, "give-code", "The code of your second factor is needed.")
        if two_factor.is_demanded(user) and not self._is_own_account(request.path_info):
            return self._refused(request, "two-factor", "Staff need a second factor: set one up first.")
        return None

    def _refused(self, request: HttpRequest, page: str, why: str) -> HttpResponse:
        """Led to the page where it is put right; a script's call gets the status that it knows."""
        if "text/html" not in request.headers.get("Accept", ""):
            return JsonResponse({"code": "session_expired", "detail": why}, status=401)
        if request.method != "GET":
            return redirect(page)
        return redirect_to_login(request.get_full_path(), reverse(page))

    @cached_property
    def open(self) -> tuple[str, ...]:
        """What needs no log-in by a session, and the way on or out."""
        return (reverse("give-code"), reverse("logout"), "/api/", "/health_check", "/readyz", "/metrics")

    def _is_own_account(self, path: str) -> bool:
        """Private types lie below the account too, and staff see those of other people there."""
        return path.startswith(reverse("my-account")) and not path.startswith(reverse("own-types"))


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

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            return problems.not_allowed(request, response)
        return response
