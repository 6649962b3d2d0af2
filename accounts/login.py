"""Log-in by name and password, for the faces that answer with a token."""

from dataclasses import dataclass

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from accounts import login_guard, two_factor
from accounts.errors import InvalidCredentials, TooManyAttempts
from accounts.models import User
from accounts.two_factor import CodeNeeded


@dataclass(frozen=True)
class LogIn:
    user: User
    by_code: bool
    """Whether the code of a second factor was given too."""


def log_in(*, request: HttpRequest, username: str, password: str, otp: str = "") -> LogIn:
    """The user with this name and password, and the code of the second factor where there is one.

    Raises InvalidCredentials, alike for an unknown name, a wrong password and a suspended user, and
    TooManyAttempts; after the right password CodeNeeded, WrongCode and TooManyCodes.
    """
    user = authenticate(request, username=username, password=password)
    if getattr(request, "axes_locked_out", False):
        raise TooManyAttempts(retry_after=login_guard.login_retry_after(request))
    if not isinstance(user, User):
        raise InvalidCredentials
    by_code = two_factor.has_device(user)
    if by_code:
        if not otp:
            raise CodeNeeded
        two_factor.check(user=user, code=otp)
    # Django's own signal: it notes the time of the log-in, and django-axes forgets the failures before it.
    user_logged_in.send(sender=User, request=request, user=user)
    return LogIn(user, by_code)
