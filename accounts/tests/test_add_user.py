"""POST /add_user, as the original service has it."""

import json

import pytest
from rest_framework.test import APIClient

from accounts.models import User

pytestmark = pytest.mark.django_db

NEW = {"username": "bob", "email": "bob@example.org", "password": "correct horse battery"}


@pytest.fixture
def api() -> APIClient:
    return APIClient()


def test_a_new_user_is_answered_without_its_password(api: APIClient) -> None:
    answer = api.post("/add_user", NEW, format="json")
    user = User.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {
        "id": user.pk,
        "username": "bob",
        "email": "bob@example.org",
        "credit_balance": 10,
    }


@pytest.mark.parametrize("taken", [{"username": "BOB"}, {"email": "BOB@example.org"}])
def test_a_taken_name_or_address_is_a_conflict(api: APIClient, taken: dict[str, str]) -> None:
    api.post("/add_user", NEW, format="json")
    other = {"username": "other", "email": "other@example.org", "password": NEW["password"]}
    answer = api.post("/add_user", other | taken, format="json")
    assert answer.status_code == 409
    assert next(iter(taken.values())) in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        NEW | {"password": "12345678"},
        NEW | {"username": "white space"},
        NEW | {"username": ["bob"]},
        NEW | {"username": None},
        NEW | {"email": "nowhere"},
        [NEW],
        "bob",
    ],
)
def test_what_will_not_do_is_told(api: APIClient, body: object) -> None:
    answer = api.post("/add_user", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert not User.objects.exists()


def test_half_a_character_is_no_name(api: APIClient) -> None:
    body = json.dumps(NEW | {"username": "a\ud800"})
    answer = api.post("/add_user", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("username")


def test_nobody_signs_up_as_an_administrator(api: APIClient) -> None:
    api.post(
        "/add_user", NEW | {"is_staff": True, "is_superuser": True, "credit_balance": 999}, format="json"
    )
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.credit_account.balance) == (False, False, 10)


def test_sign_up_is_limited_by_network(api: APIClient) -> None:
    answers = [
        api.post(
            "/add_user", {}, format="json", REMOTE_ADDR="192.0.2.7", headers={"X-Forwarded-For": str(number)}
        )
        for number in range(11)
    ]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert api.post("/add_user", NEW, format="json", REMOTE_ADDR="192.0.2.8").status_code == 200
