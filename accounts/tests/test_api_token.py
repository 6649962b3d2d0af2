"""POST /api/v1/token, token/refresh, token/verify and token/blacklist."""

from typing import Any

import jwt
import pytest
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services
from accounts.models import User

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> APIClient:
    return APIClient(enforce_csrf_checks=True)


def log_in(api: APIClient) -> dict[str, str]:
    body = {"username": "alice", "password": PASSWORD}
    pair: dict[str, str] = api.post("/api/v1/token", body, format="json").json()
    return pair


def post(api: APIClient, what: str, **body: Any) -> tuple[int, str | None]:
    """Status, and the problem's code where there is one."""
    answer = api.post(f"/api/v1/token/{what}", body, format="json")
    if answer.status_code < 400:
        return answer.status_code, None
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_pair_of_tokens(alice: User, api: APIClient) -> None:
    pair = log_in(api)
    assert set(pair) == {"access", "refresh"}
    headers = {"Authorization": f"Bearer {pair['access']}"}
    assert api.get("/api/v1/account", headers=headers).json()["username"] == "alice"
    with_refresh = api.get("/api/v1/account", headers={"Authorization": f"Bearer {pair['refresh']}"})
    assert (with_refresh.status_code, with_refresh.json()["code"]) == (401, "token_not_valid")


def test_a_wrong_password_is_a_problem(alice: User, api: APIClient) -> None:
    answer = api.post("/api/v1/token", {"username": "alice", "password": "wrong"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_refresh_token_buys_one_new_pair(alice: User, api: APIClient) -> None:
    pair = log_in(api)
    renewed = api.post("/api/v1/token/refresh", {"refresh": pair["refresh"]}, format="json").json()
    assert post(api, "verify", token=renewed["access"]) == (204, None)
    assert post(api, "refresh", refresh=pair["refresh"]) == (401, "token_not_valid")
    assert post(api, "refresh", refresh=renewed["refresh"]) == (200, None)


def test_an_access_token_refreshes_nothing(alice: User, api: APIClient) -> None:
    assert post(api, "refresh", refresh=log_in(api)["access"]) == (401, "token_not_valid")


def test_a_blacklisted_token_is_worth_nothing(alice: User, api: APIClient) -> None:
    pair = log_in(api)
    assert post(api, "blacklist", refresh=pair["refresh"]) == (204, None)
    assert post(api, "verify", token=pair["refresh"]) == (401, "token_not_valid")
    assert post(api, "refresh", refresh=pair["refresh"]) == (401, "token_not_valid")
    assert post(api, "blacklist", refresh=pair["refresh"]) == (401, "token_not_valid")


@pytest.mark.parametrize("what", ["deleted", "suspended", "new password"])
def test_tokens_end_with_their_user(alice: User, api: APIClient, what: str) -> None:
    pair = log_in(api)
    if what == "deleted":
        services.delete_user(user=alice, actor=None)
        code = "user_not_found"
    elif what == "suspended":
        services.suspend_user(user=alice, actor=None)
        code = "user_inactive"
    else:
        services.change_password(user=alice, password="another good phrase")
        code = "password_changed"
    account = api.get("/api/v1/account", headers={"Authorization": f"Bearer {pair['access']}"})
    assert (account.status_code, account.json()["code"]) == (401, code)
    assert post(api, "verify", token=pair["access"]) == (401, code)
    assert post(api, "refresh", refresh=pair["refresh"]) == (401, code)


@pytest.mark.parametrize(
    "body", [{}, {"refresh": None}, {"refresh": 5}, {"refresh": "a.b.c"}, {"refresh": "\0"}]
)
@pytest.mark.parametrize("what", ["refresh", "blacklist"])
def test_what_is_no_token_is_refused(db: None, api: APIClient, what: str, body: dict[str, Any]) -> None:
    status, _ = post(api, what, **body)
    assert status == (401 if body.get("refresh") in ("a.b.c", 5) else 400)


def test_a_token_without_a_user_is_refused(db: None, client: Client) -> None:
    for claims in ({}, {"user_id": "x"}, {"user_id": None}, {"user_id": "999999"}):
        token = AccessToken()
        token.payload.update(claims)
        answer = client.get("/api/v1/account", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


def test_a_token_of_another_key_is_refused(alice: User, client: Client) -> None:
    payload = AccessToken.for_user(alice).payload
    for forged in (
        jwt.encode(payload, "x" * 50, algorithm="HS256"),
        jwt.encode(payload, "", algorithm="none"),
    ):
        answer = client.get("/api/v1/account", headers={"Authorization": f"Bearer {forged}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_not_valid")
