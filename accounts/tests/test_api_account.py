"""GET /api/v1/account and /api/v1/account/ledger."""

from base64 import b64encode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts import credits
from accounts.models import LedgerEntry, User

from .conftest import SignedIn

pytestmark = pytest.mark.django_db


def test_the_own_account(alice: User, signed_in: SignedIn) -> None:
    credits.charge(account_id=alice.credit_account.pk, amount=1, reference="solve-1")
    account = signed_in(alice).get("/api/v1/account").json()
    assert set(account) == {"id", "username", "email", "balance", "last_used", "created"}
    assert (account["username"], account["balance"]) == ("alice", 9)
    assert account["last_used"] is not None


def test_outsiders_are_asked_for_a_token(alice: User) -> None:
    for address in ("/api/v1/account", "/api/v1/account/ledger"):
        answer = APIClient().get(address)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_authentication_costs_one_query_account_included(alice: User, signed_in: SignedIn) -> None:
    client = signed_in(alice)
    with CaptureQueriesContext(connection) as queries:
        client.post("/get_account_info")
    assert len(queries) == 1


def test_the_ledger_in_pages_newest_first(alice: User, signed_in: SignedIn) -> None:
    for number in range(5):
        credits.charge(account_id=alice.credit_account.pk, amount=1, reference=str(number))
    client = signed_in(alice)
    first = client.get("/api/v1/account/ledger?page_size=4").json()
    credits.charge(account_id=alice.credit_account.pk, amount=1, reference="in between")
    second = client.get(first["next"]).json()
    references = [entry["reference"] for entry in first["results"] + second["results"]]
    assert references == ["4", "3", "2", "1", "0", ""]
    assert second["next"] is None
    assert set(first["results"][0]) == {
        "id",
        "amount",
        "balance_after",
        "kind",
        "reference",
        "reason",
        "created",
    }


def test_the_ledger_shows_nobody_elses_entries(alice: User, outsider: User, signed_in: SignedIn) -> None:
    own = set(LedgerEntry.objects.filter(account__user=outsider).values_list("id", flat=True))
    shown = signed_in(outsider).get("/api/v1/account/ledger").json()["results"]
    assert {entry["id"] for entry in shown} == own


@pytest.mark.parametrize(
    "position", ["p=x", "p=-1", "p=9999999999999999999999", "r=1&p=%C2%B2", "o=x", "o=-1"]
)
def test_a_made_up_cursor_is_no_page(alice: User, signed_in: SignedIn, position: str) -> None:
    cursor = b64encode(position.encode()).decode()
    answer = signed_in(alice).get("/api/v1/account/ledger", {"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=x", "page_size"),
        ("kind=x", "kind"),
    ],
)
def test_an_odd_parameter_is_named(alice: User, signed_in: SignedIn, query: str, named: str) -> None:
    answer = signed_in(alice).get(f"/api/v1/account/ledger?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert answer.json()["detail"].startswith(f"{named}: ")


@pytest.mark.parametrize("page_size", ["", "007", "999999999999999999999"])
def test_a_page_is_as_large_as_it_may_be(alice: User, signed_in: SignedIn, page_size: str) -> None:
    assert signed_in(alice).get(f"/api/v1/account/ledger?page_size={page_size}").status_code == 200
