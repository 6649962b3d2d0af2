"""The admin's ledger: to look at only."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import credits, services
from accounts.admin_lists import COUNTED, LimitedPaginator
from accounts.models import LedgerEntry, User

pytestmark = pytest.mark.django_db

LEDGER = "/admin/accounts/ledgerentry/"


@pytest.fixture
def office(root: User, client: Client) -> Client:
    client.force_login(root)
    return client


def test_it_shows_every_entry_with_its_owner(office: Client, alice: User, outsider: User) -> None:
    services.delete_user(user=outsider, actor=None)
    page = office.get(LEDGER).content.decode()
    assert ">alice<" in page
    assert ", deleted<" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [("?q=alice", 1), ("?q=ALICE", 1), ("?q=ali", 0), ("?kind__exact=closing", 1), ("?kind__exact=gift", 0)],
)
def test_search_and_filter(office: Client, alice: User, outsider: User, query: str, shown: int) -> None:
    services.delete_user(user=outsider, actor=None)
    assert office.get(LEDGER + query).context["cl"].result_count == shown


def test_search_by_the_number_of_an_account(office: Client, alice: User, outsider: User) -> None:
    account_id = alice.credit_account.pk
    changelist = office.get(f"{LEDGER}?q={account_id}").context["cl"]
    assert [entry.account_id for entry in changelist.result_list] == [account_id]
    linked = office.get(f"{LEDGER}?account__id__exact={account_id}").context["cl"]
    assert [entry.account_id for entry in linked.result_list] == [account_id]


def test_the_list_takes_the_same_queries_for_many_entries(office: Client, alice: User) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            credits.charge(account_id=alice.credit_account.pk, amount=1, reference="")
        with CaptureQueriesContext(connection) as queries:
            office.get(LEDGER)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_long_list_is_not_counted_to_its_end(alice: User) -> None:
    paginator = LimitedPaginator(LedgerEntry.objects.order_by("-id"), 50)
    with CaptureQueriesContext(connection) as queries:
        assert paginator.count == 1
    assert f"LIMIT {COUNTED}" in queries[0]["sql"]


def test_nothing_can_be_added_changed_or_deleted(office: Client, alice: User) -> None:
    entry = LedgerEntry.objects.get()
    assert office.get(f"{LEDGER}{entry.pk}/change/").status_code == 200
    assert office.post(f"{LEDGER}{entry.pk}/change/", {"amount": "1000"}).status_code == 403
    assert office.post(f"{LEDGER}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert office.get(f"{LEDGER}add/").status_code == 403
    assert LedgerEntry.objects.get().amount == 10


def test_outsiders_see_none_of_it(alice: User, outsider: User, client: Client) -> None:
    assert client.get(LEDGER).status_code == 302
    client.force_login(outsider)
    assert client.get(LEDGER).status_code == 302
