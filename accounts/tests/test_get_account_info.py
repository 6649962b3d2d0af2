"""POST /get_account_info, as the original service has it."""

import pytest
from rest_framework.test import APIClient

from accounts.models import User

from .conftest import SignedIn

pytestmark = pytest.mark.django_db


def test_it_tells_who_is_calling(alice: User, signed_in: SignedIn) -> None:
    answer = signed_in(alice).post("/get_account_info")
    info = answer.json()["account_info"]
    assert answer.status_code == 200
    assert list(info) == ["id", "credit_balance", "username", "email", "time_created", "time_updated"]
    assert (info["id"], info["credit_balance"], info["username"]) == (alice.pk, 10, "alice")


def test_each_sees_only_their_own(alice: User, outsider: User, signed_in: SignedIn) -> None:
    answer = signed_in(outsider).post(f"/get_account_info?id={alice.pk}", {"id": alice.pk}, format="json")
    assert answer.json()["account_info"]["username"] == "outsider"


def test_without_a_token_there_is_nothing_to_see(alice: User) -> None:
    answer = APIClient().post("/get_account_info")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert list(answer.json()) == ["detail"]
