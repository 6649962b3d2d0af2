"""manage.py check_ledger."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import CreditAccount, LedgerEntry, User

pytestmark = pytest.mark.django_db


def test_it_is_content_when_every_balance_is_explained(alice: User, outsider: User) -> None:
    out = StringIO()
    call_command("check_ledger", stdout=out)
    assert out.getvalue() == "2 accounts, every balance is the sum of its entries.\n"


def test_it_names_a_balance_that_nothing_explains(alice: User, outsider: User) -> None:
    CreditAccount.objects.filter(user=alice).update(balance=11)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2 accounts"):
        call_command("check_ledger", stdout=out)
    account_id = alice.credit_account.pk
    assert out.getvalue() == f"account {account_id}: balance 11, sum of entries 10, last entry says 10\n"


def test_it_names_an_entry_that_lies_about_the_balance(alice: User) -> None:
    entry = LedgerEntry.objects.get()
    entry.pk, entry.amount, entry.balance_after = None, 1, 12
    entry.save()
    CreditAccount.objects.update(balance=11)
    with pytest.raises(CommandError, match="1 of 1 accounts"):
        call_command("check_ledger", stdout=StringIO())
