"""POST /delete_user, as the original service has it."""

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from accounts.models import User

from .conftest import MakeUser, SignedIn

pytestmark = pytest.mark.django_db


def test_an_administrator_deletes_somebody(alice: User, root: User, signed_in: SignedIn) -> None:
    her = signed_in(alice)
    answer = signed_in(root).post(f"/delete_user?delete_user_id={alice.pk}")
    assert answer.status_code == 200
    assert answer.json() == {"message": f"User ID - {alice.pk} was successfully deleted!"}
    assert not User.objects.filter(pk=alice.pk).exists()
    assert her.post("/get_account_info").status_code == 401


def test_an_outsider_may_not(alice: User, outsider: User, signed_in: SignedIn) -> None:
    address = f"/delete_user?delete_user_id={alice.pk}"
    assert signed_in(outsider).post(address).status_code == 403
    assert APIClient().post(address).status_code == 401
    assert User.objects.filter(pk=alice.pk).exists()


def test_staff_who_may_delete_do_not_reach_superusers(
    alice: User, root: User, outsider: User, make_user: MakeUser, signed_in: SignedIn
) -> None:
    make_user("second", admin=True)
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    outsider.user_permissions.add(Permission.objects.get(codename="delete_user"))
    staff = signed_in(outsider)
    assert staff.post(f"/delete_user?delete_user_id={root.pk}").status_code == 403
    assert staff.post(f"/delete_user?delete_user_id={alice.pk}").status_code == 200


def test_nobody_deletes_themselves(root: User, make_user: MakeUser, signed_in: SignedIn) -> None:
    make_user("second", admin=True)
    answer = signed_in(root).post(f"/delete_user?delete_user_id={root.pk}")
    assert answer.status_code == 409
    assert User.objects.filter(pk=root.pk).exists()


@pytest.mark.parametrize(
    ("query", "status"),
    [("?delete_user_id=999999", 404), ("?delete_user_id=x", 400), ("?delete_user_id=1e99", 400), ("", 400)],
)
def test_bad_input_is_told(root: User, signed_in: SignedIn, query: str, status: int) -> None:
    answer = signed_in(root).post(f"/delete_user{query}")
    assert answer.status_code == status
    assert answer.json()["detail"]
