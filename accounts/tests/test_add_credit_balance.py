"""POST /add_credit_balance, as the original service has it."""

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from accounts import credits
from accounts.models import LedgerEntry, User

from .conftest import SignedIn

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("amount", "balance"), [(50, 60), (-10, 0)])
def test_an_administrator_changes_a_balance(
    alice: User, root: User, signed_in: SignedIn, amount: int, balance: int
) -> None:
    body = {"user_id": alice.pk, "credit_amount": amount}
    answer = signed_in(root).post("/add_credit_balance", body, format="json")
    entry = LedgerEntry.objects.latest("id")
    assert answer.status_code == 200
    assert answer.json() == {"credit_amount": amount, "user_id": alice.pk}
    assert credits.balance(alice) == balance
    assert (entry.amount, entry.kind, entry.actor) == (amount, "grant", "root")


def test_taking_more_than_there_is_is_refused(alice: User, root: User, signed_in: SignedIn) -> None:
    body = {"user_id": alice.pk, "credit_amount": -11}
    answer = signed_in(root).post("/add_credit_balance", body, format="json")
    assert answer.status_code == 402
    assert "10 credits" in answer.json()["detail"]
    assert credits.balance(alice) == 10


def test_an_outsider_may_not(alice: User, outsider: User, signed_in: SignedIn) -> None:
    body = {"user_id": outsider.pk, "credit_amount": 50}
    assert signed_in(outsider).post("/add_credit_balance", body, format="json").status_code == 403
    assert APIClient().post("/add_credit_balance", body, format="json").status_code == 401
    assert credits.balance(outsider) == 10


def test_staff_need_the_permission(alice: User, outsider: User, signed_in: SignedIn) -> None:
    body = {"user_id": alice.pk, "credit_amount": 1}
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    assert signed_in(outsider).post("/add_credit_balance", body, format="json").status_code == 403
    outsider.user_permissions.add(Permission.objects.get(codename="change_creditaccount"))
    assert signed_in(outsider).post("/add_credit_balance", body, format="json").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": 10**9, "credit_amount": 1}, 404),
        ({"user_id": 10**30, "credit_amount": 1}, 400),
        ({"user_id": "x", "credit_amount": 1}, 400),
        ({"user_id": 1, "credit_amount": 0}, 400),
        ({"user_id": 1, "credit_amount": 10**30}, 400),
        ({"user_id": 1, "credit_amount": 1.5}, 400),
        ({}, 400),
        ([], 400),
    ],
)
def test_bad_input_is_told(root: User, signed_in: SignedIn, body: object, status: int) -> None:
    answer = signed_in(root).post("/add_credit_balance", body, format="json")
    assert answer.status_code == status
    assert answer.json()["detail"]
