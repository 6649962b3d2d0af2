"""The admin's pages for users: lists, credits, suspension, deletion, and who may."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import credits, services, tokens
from accounts.models import CreditAccount, LedgerEntry, User

from .conftest import PASSWORD, MakeUser

pytestmark = pytest.mark.django_db

USERS = "/admin/accounts/user/"


@pytest.fixture
def office(root: User, client: Client) -> Client:
    client.force_login(root)
    return client


def clerk_with(user: User, *permissions: str) -> Client:
    """A session of a staff member who was given some permissions."""
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


def change_credits(client: Client, users: list[User], **fields: Any) -> Any:
    form = {"action": "change_credits", "_selected_action": [user.pk for user in users], **fields}
    return client.post(USERS, form)


def once_of(page: Any) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page.content.decode())
    assert found
    return found[1]


def test_the_list_shows_balance_and_last_use(office: Client, alice: User) -> None:
    credits.charge(account_id=alice.credit_account.pk, amount=3, reference="")
    page = office.get(USERS).content.decode()
    assert '<td class="field-balance">7</td>' in page
    assert "never" in page


def test_the_list_takes_the_same_queries_for_many_users(office: Client, make_user: MakeUser) -> None:
    counts = []
    for round_ in range(2):
        for number in range(5):
            make_user(f"user-{round_}-{number}")
        with CaptureQueriesContext(connection) as queries:
            office.get(USERS)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    "query", ["?q=alice", "?q=ALICE%40example", "?is_active__exact=1", "?is_staff__exact=0", "?o=3.4"]
)
def test_search_filters_and_order(office: Client, alice: User, query: str) -> None:
    answer = office.get(USERS + query)
    assert answer.status_code == 200
    assert "alice@example.org" in answer.content.decode()


def test_a_user_made_here_gets_the_gift(office: Client) -> None:
    form = {
        "username": "new",
        "email": "new@example.org",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert office.post(f"{USERS}add/", form).status_code == 302
    assert credits.balance(User.objects.get(username="new")) == 10


def test_a_name_in_another_case_is_told_to_be_taken(office: Client, alice: User) -> None:
    form = {
        "username": "ALICE",
        "email": "other@example.org",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    answer = office.post(f"{USERS}add/", form)
    assert "already exists" in answer.content.decode()


def test_credits_are_asked_for_shown_and_then_given(office: Client, alice: User, outsider: User) -> None:
    users = [alice, outsider]
    form = change_credits(office, users)
    assert "Look at the new balances" in form.content.decode()
    fields = {"amount": "5", "reason": "a present", "once": once_of(form)}
    preview = change_credits(office, users, **fields, step="preview")
    assert "15" in preview.content.decode()
    assert credits.balance(alice) == 10
    assert change_credits(office, users, **fields, step="apply").status_code == 302
    entry = LedgerEntry.objects.filter(account__user=alice).latest("id")
    assert (credits.balance(alice), credits.balance(outsider)) == (15, 15)
    assert (entry.amount, entry.reason, entry.actor) == (5, "a present", "root")
    assert LogEntry.objects.filter(change_message__contains="+5 credits: a present").count() == 2


def test_a_change_sent_twice_is_made_once(office: Client, alice: User) -> None:
    fields = {"amount": "5", "reason": "a present", "once": "a" * 32, "step": "apply"}
    change_credits(office, [alice], **fields)
    again = change_credits(office, [alice], **fields)
    assert "already made" in again.content.decode()
    assert credits.balance(alice) == 15


@pytest.mark.parametrize("step", ["preview", "apply"])
@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"amount": "5", "reason": ""}, "This field is required"),
        ({"amount": "0", "reason": "why"}, "Nothing to add or take"),
        ({"amount": "x", "reason": "why"}, "Enter a whole number"),
        ({"amount": "99999999999", "reason": "why"}, "less than or equal"),
        ({"amount": "-6", "reason": "why"}, "poor"),
    ],
)
def test_a_change_that_will_not_do_is_told_and_nobody_is_changed(
    office: Client, alice: User, make_user: MakeUser, step: str, fields: dict[str, str], complaint: str
) -> None:
    poor = make_user("poor", balance=5)
    entries = LedgerEntry.objects.count()
    answer = change_credits(office, [alice, poor], **fields, once="b" * 32, step=step)
    assert answer.status_code == 200
    assert complaint in answer.content.decode() or "5 credits" in answer.content.decode()
    assert LedgerEntry.objects.count() == entries
    assert (credits.balance(alice), credits.balance(poor)) == (10, 5)


def test_credits_want_their_own_permission(alice: User, outsider: User) -> None:
    fields = {"amount": "5", "reason": "why", "once": "c" * 32, "step": "apply"}
    change_credits(clerk_with(outsider, "view_user", "change_user"), [alice], **fields)
    assert credits.balance(alice) == 10
    change_credits(clerk_with(outsider, "view_user", "change_creditaccount"), [alice], **fields)
    assert credits.balance(alice) == 15


def test_suspending_and_reactivating(office: Client, alice: User, root: User) -> None:
    form = {"action": "suspend", "_selected_action": [alice.pk, root.pk]}
    page = office.post(USERS, form, follow=True).content.decode()
    assert "Suspended: alice." in page
    assert "Not suspended: root. Nobody can suspend their own account." in page
    assert set(User.objects.filter(is_active=True)) == {root}
    office.post(USERS, {"action": "reactivate", "_selected_action": [alice.pk]})
    assert User.objects.get(pk=alice.pk).is_active


def test_there_is_no_deletion_in_bulk(office: Client, alice: User) -> None:
    assert "delete_selected" not in office.get(USERS).content.decode()
    form = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
    office.post(USERS, form)
    assert User.objects.filter(pk=alice.pk).exists()


def test_the_page_of_deletion_shows_what_goes_and_what_stays(office: Client, alice: User) -> None:
    services.change_password(user=alice, password="another good phrase")
    page = " ".join(office.get(f"{USERS}{alice.pk}/delete/").content.decode().split())
    assert "the balance: 10 credits" in page
    assert "<li>ledger entries: 1</li>" in page
    assert "solves: 0" in page
    assert User.objects.filter(pk=alice.pk).exists()


def test_a_user_is_deleted_by_typing_the_name(office: Client, alice: User) -> None:
    address = f"{USERS}{alice.pk}/delete/"
    for typed in ("", "ALICE", "bob"):
        assert office.post(address, {"username": typed}).status_code == 200
    assert User.objects.filter(pk=alice.pk).exists()
    entries = list(LedgerEntry.objects.values())
    account_id = alice.credit_account.pk
    assert office.post(address, {"username": "alice"}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert [row for row in LedgerEntry.objects.values() if row["kind"] != "closing"] == entries
    assert CreditAccount.objects.get(pk=account_id).user is None
    assert LogEntry.objects.filter(action_flag=3, object_id=str(alice.pk)).exists()


def test_neither_the_last_admin_nor_oneself_is_deleted(
    office: Client, root: User, make_user: MakeUser
) -> None:
    answer = office.post(f"{USERS}{root.pk}/delete/", {"username": "root"})
    assert "Nobody can delete their own account" in answer.content.decode()
    make_user("second", admin=True)
    answer = office.post(f"{USERS}{root.pk}/delete/", {"username": "root"})
    assert "Nobody can delete their own account" in answer.content.decode()
    assert User.objects.filter(pk=root.pk).exists()
    assert not LogEntry.objects.exists()


def change_form(user: User, **changes: Any) -> dict[str, Any]:
    fields = {"username": user.username, "email": user.email}
    flags = {"is_active": user.is_active, "is_staff": user.is_staff, "is_superuser": user.is_superuser}
    return fields | {name: "on" for name, set_ in (flags | changes).items() if set_}


@pytest.mark.parametrize("right", ["is_active", "is_staff", "is_superuser"])
def test_the_last_admin_keeps_every_right(office: Client, root: User, right: str) -> None:
    answer = office.post(f"{USERS}{root.pk}/change/", change_form(root, **{right: False}))
    assert answer.status_code == 200
    assert "last active administrator" in answer.content.decode()
    root.refresh_from_db()
    assert root.is_active
    assert root.is_staff
    assert root.is_superuser


def test_one_of_two_admins_may_step_down(office: Client, root: User, make_user: MakeUser) -> None:
    second = make_user("second", admin=True)
    answer = office.post(f"{USERS}{second.pk}/change/", change_form(second, is_superuser=False))
    assert answer.status_code == 302
    second.refresh_from_db()
    assert not second.is_superuser


def test_staff_cannot_give_themselves_rights_nor_touch_superusers(
    alice: User, root: User, outsider: User, make_user: MakeUser
) -> None:
    clerk = clerk_with(outsider, "view_user", "change_user", "delete_user")
    clerk.post(f"{USERS}{outsider.pk}/change/", change_form(outsider, is_superuser=True, is_staff=True))
    outsider.refresh_from_db()
    assert not outsider.is_superuser
    make_user("second", admin=True)
    passwords = {"usable_password": "true", "password1": PASSWORD * 2, "password2": PASSWORD * 2}
    assert clerk.post(f"{USERS}{root.pk}/change/", change_form(root)).status_code == 403
    assert clerk.post(f"{USERS}{root.pk}/password/", passwords).status_code == 403
    assert clerk.post(f"{USERS}{root.pk}/delete/", {"username": "root"}).status_code == 403
    assert clerk.post(USERS, {"action": "suspend", "_selected_action": [root.pk]}).status_code == 403
    root.refresh_from_db()
    assert root.is_active
    assert root.check_password(PASSWORD)


def test_a_password_set_here_ends_the_users_tokens(office: Client, alice: User) -> None:
    pair = tokens.token_pair(user=alice)
    new = "another good phrase"
    form = {"usable_password": "true", "password1": new, "password2": new}
    assert office.post(f"{USERS}{alice.pk}/password/", form).status_code == 302
    answer = Client().get("/api/v1/account", headers={"Authorization": f"Bearer {pair['access']}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "password_changed")
    assert not OutstandingToken.objects.filter(user=alice).exists()


@pytest.mark.parametrize("page", ["", "add/", "{}/change/", "{}/delete/", "{}/password/"])
def test_outsiders_see_none_of_it(alice: User, outsider: User, client: Client, page: str) -> None:
    address = USERS + page.format(alice.pk)
    assert client.get(address).status_code == 302
    client.force_login(outsider)
    assert client.get(address).status_code == 302
    assert clerk_with(outsider).get(address).status_code == 403


def test_the_pages_of_log_in_tokens_are_gone(office: Client) -> None:
    assert office.get("/admin/token_blacklist/outstandingtoken/").status_code == 404
