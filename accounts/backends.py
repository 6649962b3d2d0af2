"""Where passwords are checked: after the guard has let the try through."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts import login_guard
from accounts.client_address import client_network
from accounts.models import User


class AccountBackend(ModelBackend):
    """Django's own backend, within the budget of tries. It stands behind the one of django-axes."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if request is None or username is None or password is None:
            return None
        name = login_guard.attempted_name(request, {"username": username})
        network = client_network(request)
        key = login_guard.budget_key(name=name, network=network)
        if not login_guard.spend_guess(key):
            request.axes_locked_out = True  # type: ignore[attr-defined]  # so that its middleware answers
            request.login_retry_after = login_guard.seconds_left(key)  # type: ignore[attr-defined]
            raise PermissionDenied
        user = super().authenticate(request, username=username, password=password)
        if not isinstance(user, User):
            return None
        login_guard.remember_login(user=user, network=network, key=key)
        return user
