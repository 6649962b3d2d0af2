"""Many threads on one account: nothing is charged twice, nothing goes below zero, nothing is lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from accounts import credits, services
from accounts.errors import DuplicateUsername, LastAdmin
from accounts.models import LedgerEntry, User
from accounts.selectors import drifting_accounts

from .conftest import MakeUser

THREADS = 12

Result = TypeVar("Result")


def in_threads(count: int, work: Callable[[int], Result]) -> list[Result]:
    """``work(number)`` in ``count`` threads that begin together, each with its own connection."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Result:
        try:
            barrier.wait()
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_exactly_the_balance_is_charged(make_user: MakeUser) -> None:
    user = make_user("hot", balance=100)
    account_id = user.credit_account.pk

    def spend(number: int) -> int:
        charged = 0
        while True:
            try:
                with transaction.atomic():
                    credits.charge(account_id=account_id, amount=1, reference=f"{number}-{charged}")
            except credits.InsufficientCredits:
                return charged
            charged += 1

    charged = in_threads(THREADS, spend)
    entries = LedgerEntry.objects.filter(account=account_id, kind="charge")
    assert sum(charged) == entries.count() == 100
    assert credits.balance(user) == 0
    assert entries.values("reference").distinct().count() == 100
    assert sorted(entries.values_list("balance_after", flat=True)) == list(range(100))
    assert list(drifting_accounts()) == []


@pytest.mark.django_db(transaction=True)
def test_all_ways_to_change_a_balance_at_once(make_user: MakeUser) -> None:
    user = make_user("hot", balance=30)
    account_id = user.credit_account.pk

    def change(number: int) -> int:
        """Credits that this thread put on the account, or took from it (negative)."""
        total = 0
        for turn in range(8):
            kind = (number + turn) % 4
            try:
                if kind == 0:
                    credits.charge(account_id=account_id, amount=3, reference="")
                    total -= 3
                elif kind == 1:
                    total -= 2 * credits.charge_each(account_id=account_id, price=2, references=["a", "b"])[0]
                elif kind == 2:
                    credits.refund(account_id=account_id, amount=1, reference=f"refund {number} {turn}")
                    total += 1
                else:
                    credits.grant(user=user, amount=-2, reason="taken", actor="root")
                    total -= 2
            except credits.InsufficientCredits:
                continue
        return total

    changes = in_threads(THREADS, change)
    entries = LedgerEntry.objects.filter(account=account_id)
    assert credits.balance(user) == 30 + sum(changes) == entries.aggregate(Sum("amount"))["amount__sum"]
    assert entries.filter(balance_after__lt=0).count() == 0
    assert list(drifting_accounts()) == []


@pytest.mark.django_db(transaction=True)
def test_one_of_many_sign_ups_with_one_name_succeeds() -> None:
    def sign_up(number: int) -> bool:
        try:
            services.register_user(
                username="Alice" if number % 2 else "alice",
                email=f"{number}@example.org",
                password="correct horse battery",
            )
        except DuplicateUsername:
            return False
        return True

    assert sum(in_threads(8, sign_up)) == 1
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_admins_who_delete_each_other_leave_one(make_user: MakeUser) -> None:
    admins = [make_user("first", admin=True), make_user("second", admin=True)]

    def delete_the_other(number: int) -> bool:
        try:
            services.delete_user(user=admins[1 - number], actor=admins[number])
        except (LastAdmin, User.DoesNotExist):
            return False
        return True

    assert sum(in_threads(2, delete_the_other)) == 1
    assert User.objects.filter(is_superuser=True).count() == 1
