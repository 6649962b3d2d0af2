"""Whatever happens in whatever order: the balance is the sum of the entries, and no entry changes."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accounts import credits, services
from accounts.models import CreditAccount, LedgerEntry, User
from accounts.selectors import drifting_accounts

AMOUNTS = st.integers(1, 12)


class LedgerMachine(RuleBasedStateMachine):
    """Holds the balance that each account should have, and every entry as it was first seen."""

    users = Bundle("users")

    def __init__(self) -> None:
        super().__init__()
        self.expected: dict[int, int] = {}
        self.seen: dict[int, Any] = {}

    @rule(target=users, gift=st.integers(0, 10))
    def open_account(self, gift: int) -> User:
        number = User.objects.count() + LedgerEntry.objects.count()
        user = User.objects.create(username=f"user-{number}", email=f"{number}@example.org")
        credits.open_account(user=user, gift=gift)
        self.expected[user.credit_account.pk] = gift
        return user

    @rule(user=users, amount=AMOUNTS)
    def charge(self, user: User, amount: int) -> None:
        account_id = user.credit_account.pk
        if amount <= self.expected[account_id]:
            self.expected[account_id] -= amount
            left = credits.charge(account_id=account_id, amount=amount, reference="")
            assert left == self.expected[account_id]
        else:
            with pytest.raises(credits.InsufficientCredits):
                credits.charge(account_id=account_id, amount=amount, reference="")

    @rule(user=users, price=AMOUNTS, count=st.integers(0, 6))
    def charge_each(self, user: User, price: int, count: int) -> None:
        account_id = user.credit_account.pk
        paid = min(count, self.expected[account_id] // price)
        self.expected[account_id] -= paid * price
        references = [str(number) for number in range(count)]
        outcome = credits.charge_each(account_id=account_id, price=price, references=references)
        assert outcome == (paid, self.expected[account_id])

    @rule(user=users, amount=st.one_of(AMOUNTS, AMOUNTS.map(lambda amount: -amount)))
    def grant(self, user: User, amount: int) -> None:
        account_id = user.credit_account.pk
        if self.expected[account_id] + amount < 0:
            with pytest.raises(credits.InsufficientCredits):
                credits.grant(user=user, amount=amount, reason="a reason", actor="root")
        else:
            credits.grant(user=user, amount=amount, reason="a reason", actor="root")
            self.expected[account_id] += amount

    @rule(user=users, amount=AMOUNTS)
    def refund(self, user: User, amount: int) -> None:
        reference = f"refund {LedgerEntry.objects.count()}"  # each is given once
        credits.refund(account_id=user.credit_account.pk, amount=amount, reference=reference)
        self.expected[user.credit_account.pk] += amount

    @rule(user=consumes(users))
    def delete_user(self, user: User) -> None:
        self.expected[user.credit_account.pk] = 0
        services.delete_user(user=user, actor=None)

    @invariant()
    def balances_are_as_expected(self) -> None:
        balances = CreditAccount.objects.filter(pk__in=self.expected).values_list("pk", "balance")
        assert dict(balances) == self.expected

    @invariant()
    def balances_are_the_sums_of_their_entries(self) -> None:
        assert list(drifting_accounts()) == []

    @invariant()
    def entries_stay_as_they_were(self) -> None:
        stored = {row["id"]: row for row in LedgerEntry.objects.filter(account__in=self.expected).values()}
        assert {pk: stored.get(pk) for pk in self.seen} == self.seen
        self.seen = dict(stored)


@pytest.mark.django_db
def test_the_ledger_keeps_its_promises() -> None:
    run_state_machine_as_test(
        LedgerMachine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None)
    )
