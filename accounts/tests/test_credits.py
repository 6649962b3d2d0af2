"""accounts.credits: every change and the entry that explains it."""

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from accounts import credits
from accounts.models import CreditAccount, LedgerEntry, User

from .conftest import MakeUser

pytestmark = pytest.mark.django_db


def test_a_charge_takes_credits_and_says_why(alice: User) -> None:
    left = credits.charge(account_id=alice.credit_account.pk, amount=3, reference="solve-1")
    entry = LedgerEntry.objects.latest("id")
    assert left == credits.balance(alice) == 7
    assert (entry.amount, entry.balance_after, entry.kind, entry.reference) == (-3, 7, "charge", "solve-1")
    assert CreditAccount.objects.get(user=alice).last_charged == entry.created


def test_a_charge_is_one_statement_on_postgresql_and_two_on_sqlite(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    account_id = alice.credit_account.pk
    statements = 1 if connection.vendor == "postgresql" else 2
    with transaction.atomic(), django_assert_num_queries(statements):
        credits.charge(account_id=account_id, amount=1, reference="")


def test_a_charge_past_the_balance_is_refused_and_leaves_no_trace(alice: User) -> None:
    entries = LedgerEntry.objects.count()
    with pytest.raises(credits.InsufficientCredits) as refusal:
        credits.charge(account_id=alice.credit_account.pk, amount=11, reference="")
    assert (refusal.value.balance, refusal.value.price) == (10, 11)
    assert credits.balance(alice) == 10
    assert LedgerEntry.objects.count() == entries


@pytest.mark.parametrize("amount", [0, -1, credits.MAX_AMOUNT + 1])
def test_a_charge_of_nothing_or_less_is_a_mistake_of_the_caller(alice: User, amount: int) -> None:
    with pytest.raises(ValueError, match="a charge is between"):
        credits.charge(account_id=alice.credit_account.pk, amount=amount, reference="")


def test_a_batch_is_charged_in_order_as_far_as_the_balance_reaches(make_user: MakeUser) -> None:
    user = make_user("batch", balance=7)
    charged, left = credits.charge_each(
        account_id=user.credit_account.pk, price=2, references=["a", "b", "c", "d"]
    )
    entries = list(LedgerEntry.objects.filter(kind="charge").order_by("id"))
    assert (charged, left, credits.balance(user)) == (3, 1, 1)
    assert [(entry.reference, entry.balance_after) for entry in entries] == [("a", 5), ("b", 3), ("c", 1)]


def test_a_batch_on_an_empty_account_charges_nothing(make_user: MakeUser) -> None:
    user = make_user("empty")
    assert credits.charge_each(account_id=user.credit_account.pk, price=1, references=["a"]) == (0, 0)
    assert not LedgerEntry.objects.filter(account__user=user).exists()


def test_a_refund_gives_credits_back(alice: User) -> None:
    entry = credits.refund(account_id=alice.credit_account.pk, amount=2, reference="solve-1")
    assert (entry.kind, entry.amount, entry.balance_after) == ("refund", 2, 12)


def test_a_grant_names_its_actor_and_its_reason(alice: User, root: User) -> None:
    entry = credits.grant(user=alice, amount=-4, reason=" paid back ", actor=root)
    assert (entry.amount, entry.balance_after, entry.reason, entry.actor) == (-4, 6, "paid back", "root")


def test_a_grant_wants_a_reason(alice: User) -> None:
    with pytest.raises(ValueError, match="reason"):
        credits.grant(user=alice, amount=1, reason="  ", actor="root")


def test_taking_more_than_there_is_is_refused_not_clamped(alice: User) -> None:
    with pytest.raises(credits.InsufficientCredits):
        credits.grant(user=alice, amount=-11, reason="too much", actor="root")
    assert credits.balance(alice) == 10


def test_a_grant_with_a_reference_is_made_once(alice: User, make_user: MakeUser) -> None:
    other = make_user("other")
    credits.grant(user=alice, amount=5, reason="bought", actor="root", reference="order-1")
    with pytest.raises(credits.AlreadyGranted):
        credits.grant(user=alice, amount=5, reason="bought", actor="root", reference="order-1")
    credits.grant(user=other, amount=5, reason="bought", actor="root", reference="order-1")
    assert (credits.balance(alice), credits.balance(other)) == (15, 5)


def test_closing_takes_the_rest_and_parts_the_account_from_its_user(alice: User) -> None:
    account_id = alice.credit_account.pk
    entry = credits.close_account(user=alice)
    account = CreditAccount.objects.get(pk=account_id)
    assert (entry.kind, entry.amount, entry.balance_after) == ("closing", -10, 0)
    assert (account.balance, account.user) == (0, None)


def test_the_database_refuses_a_negative_balance(alice: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditAccount.objects.filter(user=alice).update(balance=-1)


def test_the_database_refuses_an_entry_that_changes_nothing(alice: User) -> None:
    entry = LedgerEntry.objects.latest("id")
    entry.pk, entry.amount = None, 0
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save()


def test_every_new_user_has_an_account(db: None) -> None:
    user = User.objects.create_superuser("made-by-command", "command@example.org", "a long password")
    assert user.credit_account.balance == 0
