"""accounts.services: signing up, deleting, suspending, passwords."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django import Settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import credits, login_guard, services, tokens
from accounts.errors import DuplicateEmail, DuplicateUsername, LastAdmin, OwnAccount
from accounts.models import CreditAccount, LedgerEntry, LoginAddress, LoginBudget, User

from .conftest import PASSWORD, MakeUser

pytestmark = pytest.mark.django_db


def test_a_new_user_gets_the_gift(settings: Settings) -> None:
    settings.SIGNUP_CREDITS = 25
    user = services.register_user(username="bob", email="Bob@Example.ORG", password=PASSWORD)
    entry = LedgerEntry.objects.get(account__user=user)
    assert (entry.kind, entry.amount, user.credit_account.balance) == ("gift", 25, 25)
    assert user.email == "Bob@example.org"
    assert user.check_password(PASSWORD)
    assert not user.is_staff


def test_without_a_gift_there_is_no_entry(settings: Settings) -> None:
    settings.SIGNUP_CREDITS = 0
    user = services.register_user(username="bob", email="bob@example.org", password=PASSWORD)
    assert not LedgerEntry.objects.filter(account__user=user).exists()


def test_names_and_addresses_are_unique_whatever_their_case(alice: User) -> None:
    with pytest.raises(DuplicateUsername):
        services.register_user(username="ALICE", email="new@example.org", password=PASSWORD)
    with pytest.raises(DuplicateEmail):
        services.register_user(username="new", email="Alice@EXAMPLE.org", password=PASSWORD)
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "white space"),
        ("username", "jösé"),
        ("username", "x" * 151),
        ("username", ""),
        ("email", "nowhere"),
        ("email", ""),
        ("password", "short"),
        ("password", "12345678901"),
        ("password", "password123"),
        ("password", "newcomer1"),
    ],
)
def test_what_will_not_do_is_named_by_field(field: str, value: str) -> None:
    good = {"username": "newcomer", "email": "newcomer@example.org", "password": PASSWORD}
    with pytest.raises(ValidationError) as refusal:
        services.register_user(**(good | {field: value}))
    assert list(refusal.value.message_dict) == [field]
    assert not User.objects.exists()


def test_deleting_a_user_leaves_every_entry_as_it_was(alice: User, root: User) -> None:
    account_id = alice.credit_account.pk
    before = list(LedgerEntry.objects.order_by("id").values())
    services.delete_user(user=alice, actor=root)
    after = list(LedgerEntry.objects.order_by("id").values())
    closing = after.pop()
    account = CreditAccount.objects.get(pk=account_id)
    assert after == before
    assert (closing["kind"], closing["amount"], closing["balance_after"]) == ("closing", -10, 0)
    assert (account.user, account.balance) == (None, 0)
    assert not User.objects.filter(username="alice").exists()


def test_deleting_an_actor_changes_no_entry(alice: User, make_user: MakeUser, root: User) -> None:
    helper = make_user("helper", admin=True)
    credits.grant(user=alice, amount=1, reason="thanks", actor=helper)
    services.delete_user(user=helper, actor=root)
    assert LedgerEntry.objects.get(reason="thanks").actor == "helper"


def test_deleting_a_user_forgets_tokens_and_addresses(alice: User, root: User) -> None:
    tokens.token_pair(user=alice)
    key = login_guard.budget_key(name="alice", network="192.0.2.1")
    login_guard.spend_guess(key)
    login_guard.remember_login(user=alice, network="192.0.2.1", key=key)
    login_guard.spend_guess(login_guard.budget_key(name="alice", network="192.0.2.1"))
    services.delete_user(user=alice, actor=root)
    assert not OutstandingToken.objects.exists()
    assert not LoginAddress.objects.exists()
    assert not LoginBudget.objects.exists()


def test_nobody_deletes_or_suspends_themselves(root: User, make_user: MakeUser) -> None:
    make_user("second", admin=True)
    with pytest.raises(OwnAccount):
        services.delete_user(user=root, actor=root)
    with pytest.raises(OwnAccount):
        services.suspend_user(user=root, actor=root)


def test_the_last_admin_stays(root: User, alice: User, make_user: MakeUser) -> None:
    suspended = make_user("suspended", admin=True)
    services.suspend_user(user=suspended, actor=root)
    for remove in (services.delete_user, services.suspend_user):
        with pytest.raises(LastAdmin):
            remove(user=root, actor=alice)
    services.delete_user(user=suspended, actor=root)
    assert list(User.objects.filter(is_superuser=True)) == [root]


def test_suspending_and_reactivating(alice: User, root: User) -> None:
    services.suspend_user(user=alice, actor=root)
    assert not User.objects.get(pk=alice.pk).is_active
    services.reactivate_user(user=alice)
    assert User.objects.get(pk=alice.pk).is_active


def test_a_new_password_ends_the_tokens(alice: User) -> None:
    tokens.token_pair(user=alice)
    services.change_password(user=alice, password="another good phrase")
    alice.refresh_from_db()
    assert alice.check_password("another good phrase")
    assert not OutstandingToken.objects.filter(user=alice).exists()


def test_a_new_password_is_validated(alice: User) -> None:
    with pytest.raises(ValidationError):
        services.change_password(user=alice, password="short")
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_changing_a_user_moves_its_time_of_change(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_updated=timezone.now() - timedelta(days=1))
    services.change_password(user=alice, password="another good phrase")
    alice.refresh_from_db()
    assert timezone.now() - alice.time_updated < timedelta(minutes=1)
