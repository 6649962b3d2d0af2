"""Log-in by name and password, for the faces that answer with a token."""

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from accounts import login_guard
from accounts.errors import InvalidCredentials, TooManyAttempts
from accounts.models import User


def log_in(*, request: HttpRequest, username: str, password: str) -> User:
    """The user with this name and password.

    Raises InvalidCredentials, alike for an unknown name, a wrong password and a suspended user, and
    TooManyAttempts.
    """
    user = authenticate(request, username=username, password=password)
    if getattr(request, "axes_locked_out", False):
        raise TooManyAttempts(retry_after=login_guard.login_retry_after(request))
    if not isinstance(user, User):
        raise InvalidCredentials
    # Django's own signal: it notes the time of the log-in, and django-axes forgets the failures before it.
    user_logged_in.send(sender=User, request=request, user=user)
    return user
