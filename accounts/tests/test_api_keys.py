"""API keys: shown once, stored hashed, good for what they were made for, and revoked at once."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import api_keys, services
from accounts.errors import DailyLimitReached
from accounts.models import ApiKey, User
from accounts.tests.conftest import SignedIn

KEYS = "/api/v1/account/api-keys"

KeyClient = Callable[..., APIClient]


@pytest.fixture
def with_key() -> KeyClient:
    def client_of(user: User, **options: Any) -> APIClient:
        _, text = api_keys.create(user=user, name="test", **options)
        return client_with(text)

    return client_of


def client_with(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {text}")
    return client


def test_a_key_is_shown_once_and_opens_the_account(alice: User, signed_in: SignedIn) -> None:
    created = signed_in(alice).post(
        KEYS, {"name": "crawler", "allowed_networks": ["127.0.0.9/8"], "daily_limit": 5}, format="json"
    )

    assert created.status_code == 201, created.content
    body = created.json()
    assert body["allowed_networks"] == ["127.0.0.0/8"]
    assert (body["scopes"], body["daily_limit"], body["spent_today"]) == (["solve", "read"], 5, 0)
    account = client_with(body["key"]).get("/api/v1/account")
    assert account.json()["username"] == "alice"
    listed = signed_in(alice).get(KEYS).json()
    assert [one["name"] for one in listed] == ["crawler"]
    assert "key" not in listed[0]
    assert listed[0]["last_used"] is not None
    stored = ApiKey.objects.values().get()
    assert body["key"] not in map(str, stored.values())


def test_null_says_nothing(alice: User, signed_in: SignedIn) -> None:
    body = {"name": "crawler", "scopes": None, "allowed_networks": None, "daily_limit": None}
    made = signed_in(alice).post(KEYS, body, format="json")
    assert made.status_code == 201, made.content
    told = {name: made.json()[name] for name in body}
    assert told == body | {"scopes": ["solve", "read"], "allowed_networks": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": ""},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["admin"]},
        {"name": "a", "allowed_networks": ["example.org"]},
        {"name": "a", "daily_limit": -1},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    alice: User, signed_in: SignedIn, wrong: dict[str, Any]
) -> None:
    response = signed_in(alice).post(KEYS, wrong, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not ApiKey.objects.exists()


def test_keys_have_a_most(alice: User, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_KEYS", 1)
    assert signed_in(alice).post(KEYS, {"name": "first"}, format="json").status_code == 201
    response = signed_in(alice).post(KEYS, {"name": "second"}, format="json")
    assert (response.status_code, response.json()["code"]) == (409, "too_many_api_keys")


@pytest.mark.parametrize("text", ["", "x", "0" * 32, "a" * 31, "Z" * 32, "0" * 5000, "\x00"])
def test_a_text_that_is_no_key_is_a_401(db: None, text: str) -> None:
    response = client_with(text).get("/api/v1/account")
    assert (response.status_code, response.json()["code"]) == (401, "api_key_not_valid")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_key_ends_at_once_and_only_its_owner_revokes_it(
    alice: User, outsider: User, signed_in: SignedIn
) -> None:
    key, text = api_keys.create(user=alice, name="to go")
    address = f"{KEYS}/{key.pk}"
    assert signed_in(outsider).delete(address).status_code == 404
    assert signed_in(outsider).get(KEYS).json() == []
    assert client_with(text).get("/api/v1/account").status_code == 200
    assert signed_in(alice).delete(address).status_code == 204
    assert client_with(text).get("/api/v1/account").status_code == 401
    assert signed_in(alice).delete(address).status_code == 404


def test_a_key_ends_with_its_user(alice: User, root: User) -> None:
    _, text = api_keys.create(user=alice, name="hers")
    services.suspend_user(user=alice, actor=root)
    refused = client_with(text).get("/api/v1/account")
    assert (refused.status_code, refused.json()["code"]) == (401, "user_inactive")
    services.delete_user(user=alice, actor=root)
    assert client_with(text).get("/api/v1/account").json()["code"] == "api_key_not_valid"


def test_scopes_and_what_no_key_may(alice: User, root: User, with_key: KeyClient) -> None:
    reader, solver = with_key(alice, scopes=["read"]), with_key(alice, scopes=["solve"])
    assert reader.get("/api/v1/account/ledger").status_code == 200
    assert reader.post("/get_account_info").status_code == 200
    refused = solver.get("/api/v1/account")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert reader.post("/api/v1/solves", {}).json()["code"] == "scope_missing"
    for refused in (reader.get(KEYS), reader.post(KEYS, {"name": "more"}, format="json")):
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    admins = with_key(root)
    assert admins.post("/delete_user", QUERY_STRING=f"delete_user_id={alice.pk}").status_code == 403
    assert User.objects.filter(pk=alice.pk).exists()


def test_addresses(alice: User, with_key: KeyClient, settings: Any) -> None:
    client = with_key(alice, allowed_networks=["192.0.2.0/24", "2001:db8::1"])
    refused = client.get("/api/v1/account")
    assert (refused.status_code, refused.json()["code"]) == (403, "address_not_allowed")
    assert client.get("/api/v1/account", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert client.get("/api/v1/account", REMOTE_ADDR="2001:db8::1").status_code == 200
    forged = client.get("/api/v1/account", HTTP_X_FORWARDED_FOR="192.0.2.7")
    assert forged.status_code == 403


def test_one_query_and_no_write_while_the_last_use_is_fresh(
    alice: User, django_assert_num_queries: Any
) -> None:
    _, text = api_keys.create(user=alice, name="busy")
    client = client_with(text)
    client.post("/get_account_info")
    with django_assert_num_queries(1):
        client.post("/get_account_info")
    an_hour_ago = timezone.now() - timedelta(hours=1)
    ApiKey.objects.update(last_used=an_hour_ago)
    client.post("/get_account_info")
    assert ApiKey.objects.get().last_used > an_hour_ago  # type: ignore[operator]


def test_the_limit_is_of_a_day(alice: User) -> None:
    key, _ = api_keys.create(user=alice, name="thrifty", daily_limit=3)
    api_keys.spend(key=key, amount=2)
    with pytest.raises(DailyLimitReached):
        api_keys.spend(key=key, amount=2)
    api_keys.spend(key=key, amount=1)
    key.refresh_from_db()
    assert (key.spent, api_keys.left_today(key)) == (3, 0)
    ApiKey.objects.update(spent_on=timezone.now().date() - timedelta(days=1))
    api_keys.spend(key=key, amount=3)
    key.refresh_from_db()
    assert (key.spent, api_keys.left_today(key)) == (3, 0)


def test_the_command_prints_a_key(alice: User) -> None:
    out = StringIO()
    call_command(
        "create_api_key",
        "ALICE",
        name="by hand",
        scope=["read"],
        allow=["10.1.2.3"],
        daily_limit=7,
        stdout=out,
    )
    key = ApiKey.objects.get()
    assert key.digest == api_keys.digest_of(out.getvalue().strip())
    assert (key.user, key.scopes, key.allowed_networks, key.daily_limit) == (
        alice,
        ["read"],
        "10.1.2.3/32",
        7,
    )


@pytest.mark.parametrize(
    ("user", "options"), [("nobody", {}), ("alice", {"allow": ["here"]}), ("alice", {"daily_limit": -1})]
)
def test_the_command_says_what_is_wrong(alice: User, user: str, options: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        call_command("create_api_key", user, name="a", **options)
    assert not ApiKey.objects.exists()


def test_the_back_office_shows_no_digest_and_revokes(alice: User, root: User, client: Client) -> None:
    key, _ = api_keys.create(user=alice, name="hers")
    client.force_login(root, backend="accounts.backends.AccountBackend")
    for page in ("", f"{key.pk}/change/"):
        response = client.get(f"/admin/accounts/apikey/{page}")
        assert response.status_code == 200
        assert key.digest not in response.content.decode()
    client.post(f"/admin/accounts/apikey/{key.pk}/delete/", {"post": "yes"})
    assert not ApiKey.objects.exists()
