"""Who is logged in at a page."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.models import User


def session_user(request: HttpRequest) -> User:
    """The user of a view that ``login_required`` guards. Raises PermissionDenied for nobody."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
