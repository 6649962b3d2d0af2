"""Who may call: somebody signed in, a key for what it is for, staff on other people's accounts."""

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts import api_keys, two_factor
from accounts.models import ApiKey

if TYPE_CHECKING:  # the views load the default permissions, which are here
    from rest_framework.views import APIView


class SignedIn(BasePermission):
    """A user with a token; or with an API key, for the methods that the view names a scope for.

    The view's `key_scopes` are such as ``{"GET": "read", "POST": "solve"}``.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        if isinstance(request.auth, ApiKey):
            api_keys.require(request.auth, getattr(view, "key_scopes", {}).get(request.method))
        return True


class StaffWith(BasePermission):
    """Staff to whom the permission ``needed`` was given; superusers have every one.

    Whoever has a second factor, or must have one, needs a token that was bought with its code.
    """

    needed: str
    message = "Only an administrator may do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        user = request.user
        if isinstance(request.auth, ApiKey):
            api_keys.require(request.auth, None)
        if not (user and user.is_authenticated and user.is_staff and user.has_perm(self.needed)):
            return False
        if not _by_code(request.auth) and (two_factor.is_demanded(user) or two_factor.has_device(user)):
            raise two_factor.SecondFactorMissing
        return True


def _by_code(token: Any) -> bool:
    return isinstance(token, Token) and bool(token.get(two_factor.BY_CODE))


class MayChangeCredits(StaffWith):
    needed = "accounts.change_creditaccount"


class MayDeleteUsers(StaffWith):
    needed = "accounts.delete_user"
