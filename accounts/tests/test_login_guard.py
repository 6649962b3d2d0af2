"""Guessing passwords: how many are looked at, who is shut out, and what the answers tell."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts import login_guard, services
from accounts.models import LoginAddress, LoginBudget, User

from .conftest import PASSWORD
from .test_ledger_concurrency import in_threads

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_request_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of requests by network would hide what stands behind it."""
    monkeypatch.setattr("accounts.throttling.TokenThrottle.rate", None, raising=False)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that the hasher was asked about: what costs time, and what a guess is."""
    passwords: list[str] = []
    encode = MD5PasswordHasher.encode

    def remember(self: MD5PasswordHasher, password: str, salt: str) -> str:
        passwords.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", remember)
    return passwords


def guess(client: Client, username: str, password: str, network: str) -> Any:
    form = {"username": username, "password": password}
    return client.post("/get_token", form, REMOTE_ADDR=network)


def test_a_hundred_addresses_get_no_further_than_one(
    alice: User, client: Client, hashed: list[str], settings: Settings
) -> None:
    statuses = [
        guess(client, "alice", f"guess-{number}", f"198.51.100.{number % 100}").status_code
        for number in range(150)
    ]
    assert len(hashed) == settings.LOGIN_GUESSES_PER_HOUR
    assert statuses.count(401) == settings.LOGIN_GUESSES_PER_HOUR
    assert statuses.count(429) == 150 - settings.LOGIN_GUESSES_PER_HOUR


def test_the_owner_gets_in_from_a_known_network_meanwhile(alice: User, client: Client) -> None:
    assert guess(client, "alice", PASSWORD, "192.0.2.1").status_code == 200
    for number in range(70):
        guess(client, "alice", "wrong", f"198.51.100.{number}")
    assert guess(client, "alice", PASSWORD, "192.0.2.2").status_code == 429
    assert guess(client, "alice", PASSWORD, "192.0.2.1").status_code == 200
    assert guess(client, "Alice", PASSWORD, "192.0.2.1").status_code == 200


def test_guesses_from_elsewhere_close_no_other_address(alice: User, client: Client) -> None:
    assert guess(client, "alice", PASSWORD, "192.0.2.1").status_code == 200
    answers = [guess(client, "alice", "wrong", "198.51.100.1") for _ in range(10)]
    assert answers[-1].status_code == 429
    assert guess(client, "alice", PASSWORD, "198.51.100.1").status_code == 429
    for address in ("192.0.2.1", "192.0.2.2"):  # known before, and never seen
        assert guess(client, "alice", PASSWORD, address).status_code == 200


def test_the_refusal_says_how_long_and_what_else_to_do(
    alice: User, client: Client, settings: Settings
) -> None:
    settings.LOGIN_GUESSES_PER_HOUR = 50
    answers = [guess(client, "alice", "wrong", "198.51.100.1") for _ in range(10)]
    assert answers[-1].json()["detail"] == (
        "Too many attempts to log in. Try again in 15 minutes, or use an address that you logged in from "
        "before. Calls with an API key are not affected."
    )
    for number in range(60):
        last = guess(client, "alice", "wrong", f"203.0.113.{number}")
    assert "Try again in 60 minutes" in last.json()["detail"]


def test_one_network_is_shut_out_after_ten_failures(
    alice: User, client: Client, hashed: list[str], settings: Settings
) -> None:
    names = ["alice", "ALICE", "Alice", "aLICE"]  # one name, however it is spelled
    answers = [guess(client, names[number % 4], "wrong", "198.51.100.1") for number in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 9 + [429] * 3
    assert answers[-1].headers["Retry-After"] == str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    assert answers[-1].headers["Content-Type"] == "application/json"
    assert len(hashed) == settings.AXES_FAILURE_LIMIT
    assert guess(client, "alice", PASSWORD, "192.0.2.1").status_code == 200


def test_the_addresses_of_one_ipv6_network_count_as_one(alice: User, client: Client) -> None:
    answers = [guess(client, "alice", "wrong", f"2001:db8::{number:x}") for number in range(1, 12)]
    assert answers[-1].status_code == 429


def test_the_right_password_clears_the_failures_before_it(alice: User, client: Client) -> None:
    for _ in range(3):
        for _ in range(9):
            guess(client, "alice", "wrong", "192.0.2.1")
        assert guess(client, "alice", PASSWORD, "192.0.2.1").status_code == 200


def test_the_right_password_does_not_use_the_budget_up(
    alice: User, client: Client, settings: Settings
) -> None:
    for number in range(settings.LOGIN_GUESSES_PER_HOUR + 10):
        assert guess(client, "alice", PASSWORD, f"198.51.100.{number}").status_code == 200
    assert LoginAddress.objects.filter(user=alice).count() == login_guard.ADDRESSES_KEPT


def test_the_budget_comes_back_after_an_hour(db: None, settings: Settings) -> None:
    settings.LOGIN_GUESSES_PER_HOUR = 2
    key = login_guard.budget_key(name="alice", network=None)
    assert [login_guard.spend_guess(key) for _ in range(3)] == [True, True, False]
    assert 3590 < login_guard.seconds_left(key) <= 3600
    LoginBudget.objects.update(window_start=timezone.now() - timedelta(hours=1))
    assert [login_guard.spend_guess(key) for _ in range(3)] == [True, True, False]


def test_old_budgets_are_forgotten(db: None) -> None:
    login_guard.spend_guess("old")
    LoginBudget.objects.update(window_start=timezone.now() - timedelta(hours=2))
    login_guard.spend_guess("new")
    assert list(LoginBudget.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.django_db(transaction=True)
def test_guesses_that_arrive_together_are_counted_one_by_one(settings: Settings) -> None:
    settings.LOGIN_GUESSES_PER_HOUR = 20
    allowed = in_threads(10, lambda number: sum(login_guard.spend_guess("key") for _ in range(5)))
    assert sum(allowed) == 20


EACH_ITS_OWN = ("Date", "X-Request-ID")


@pytest.mark.parametrize("address", ["/get_token", "/api/v1/token"])
def test_known_unknown_and_suspended_names_are_answered_alike(
    alice: User, outsider: User, client: Client, hashed: list[str], address: str
) -> None:
    """Body, status and headers, and what takes the time: the hashes and the queries."""
    services.suspend_user(user=outsider, actor=None)
    told = []
    for name, password in [("alice", "wrong"), ("nobody", "wrong"), ("outsider", PASSWORD)]:
        hashed.clear()
        with CaptureQueriesContext(connection) as queries:
            answer = client.post(address, {"username": name, "password": password}, REMOTE_ADDR="192.0.2.1")
        headers = sorted(one for one in answer.headers.items() if one[0] not in EACH_ITS_OWN)
        told.append((answer.status_code, answer.content, headers, len(hashed), len(queries)))
    assert told[0] == told[1] == told[2]
    assert told[0][3] == 1


def test_known_and_unknown_names_are_shut_out_alike(alice: User, client: Client) -> None:
    told = []
    for name in ("alice", "nobody"):
        answers = [guess(client, name, "wrong", f"198.51.100.{number}") for number in range(60)]
        told.append([(answer.status_code, answer.content) for answer in answers])
    assert told[0] == told[1]


def test_the_admins_log_in_stands_behind_the_same_guard(
    root: User, client: Client, settings: Settings
) -> None:
    settings.LOGIN_GUESSES_PER_HOUR = 3
    form = {"username": "root", "password": "wrong"}
    answers = [client.post("/admin/login/", form, REMOTE_ADDR=f"198.51.100.{number}") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert "Log-in is closed for a while" in answers[-1].content.decode()
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3600


def test_the_admins_log_in_remembers_the_network(root: User, client: Client) -> None:
    form = {"username": "root", "password": PASSWORD, "next": "/admin/"}
    assert client.post("/admin/login/", form, REMOTE_ADDR="2001:db8:1:2::5").status_code == 302
    assert LoginAddress.objects.get().network == "2001:db8:1:2::"
