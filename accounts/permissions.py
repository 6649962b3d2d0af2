"""Who may act on other people's accounts."""

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView


class StaffWith(BasePermission):
    """Staff to whom the permission ``needed`` was given; superusers have every one."""

    needed: str
    message = "Only an administrator may do this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return bool(user and user.is_authenticated and user.is_staff and user.has_perm(self.needed))


class MayChangeCredits(StaffWith):
    needed = "accounts.change_creditaccount"


class MayDeleteUsers(StaffWith):
    needed = "accounts.delete_user"
