"""POST /get_token, as the original service has it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services
from accounts.models import User

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db

GOOD = {"username": "alice", "password": PASSWORD}


def lifespan_of(token: str) -> timedelta:
    expires = datetime.fromtimestamp(AccessToken(token)["exp"], UTC)  # type: ignore[arg-type]
    return expires - timezone.now()


@pytest.mark.parametrize("form", ["multipart", "urlencoded"])
def test_the_right_password_gives_a_token_that_works(alice: User, client: APIClient, form: str) -> None:
    if form == "multipart":
        answer = client.post("/get_token", GOOD)
    else:
        answer = client.post(
            "/get_token",
            "username=alice&password=correct+horse+battery",
            content_type="application/x-www-form-urlencoded",
        )
    assert answer.status_code == 200
    assert list(answer.json()) == ["access_token", "token_type"]
    assert answer.json()["token_type"] == "bearer"
    bearer = f"Bearer {answer.json()['access_token']}"
    assert client.post("/get_account_info", headers={"Authorization": bearer}).status_code == 200
    alice.refresh_from_db()
    assert alice.last_login is not None


def test_the_name_may_be_typed_in_any_case(alice: User, client: APIClient) -> None:
    assert client.post("/get_token", GOOD | {"username": "ALICE"}).status_code == 200


def test_a_token_lasts_a_day_or_as_long_as_asked(alice: User, client: APIClient) -> None:
    usual = lifespan_of(client.post("/get_token", GOOD).json()["access_token"])
    short = lifespan_of(client.post("/get_token?token_lifespan=1", GOOD).json()["access_token"])
    long = lifespan_of(client.post("/get_token?token_lifespan=999999999999", GOOD).json()["access_token"])
    assert abs(usual - timedelta(hours=24)) < timedelta(minutes=1)
    assert abs(short - timedelta(hours=1)) < timedelta(minutes=1)
    assert abs(long - timedelta(days=30)) < timedelta(minutes=1)


@pytest.mark.parametrize("lifespan", ["0", "-1", "soon", "1.5"])
def test_a_lifespan_that_is_none_is_refused(alice: User, client: APIClient, lifespan: str) -> None:
    answer = client.post(f"/get_token?token_lifespan={lifespan}", GOOD)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("token_lifespan")


@pytest.mark.parametrize("wrong", [{"password": "wrong"}, {"username": "nobody"}])
def test_wrong_credentials_are_told_in_the_original_words(
    alice: User, client: APIClient, wrong: dict[str, str]
) -> None:
    answer = client.post("/get_token", GOOD | wrong)
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Incorrect username or password"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_suspended_user_gets_the_same_answer(alice: User, client: APIClient) -> None:
    services.suspend_user(user=alice, actor=None)
    answer = client.post("/get_token", GOOD)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Incorrect username or password"})


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"username": "alice"},
        {"password": "x"},
        GOOD | {"username": "a\0b"},
        GOOD | {"password": "x" * 5000},
    ],
)
def test_a_form_that_lacks_something_is_refused(alice: User, client: APIClient, form: dict[str, str]) -> None:
    answer = client.post("/get_token", form)
    assert answer.status_code == 400
    assert "detail" in answer.json()


def test_further_fields_with_odd_bytes_do_no_harm(alice: User, client: APIClient) -> None:
    answer = client.post("/get_token?x=%00", GOOD | {"password": "wrong", "note": "\0"})
    assert answer.status_code == 401


def test_an_expired_token_in_the_header_is_no_hindrance(alice: User, client: APIClient) -> None:
    answer = client.post("/get_token", GOOD, headers={"Authorization": "Bearer stale"})
    assert answer.status_code == 200


def test_no_cookie_and_no_csrf_token_are_needed(alice: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    assert client.post("/get_token", GOOD, format="multipart").status_code == 200
