"""Reads over accounts and the ledger that are more than a line."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import CASCADE, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.models import CreditAccount, LedgerEntry, User


@dataclass(frozen=True)
class Drift:
    """An account whose balance and entries tell different stories."""

    account_id: int
    balance: int
    sum_of_entries: int
    last_balance_after: int


def drifting_accounts() -> Iterator[Drift]:
    """Accounts whose balance is not the sum of their entries, or not what the last entry says."""
    last_entry = LedgerEntry.objects.filter(account=OuterRef("pk")).order_by("-id")
    # By a join it would be grouped by the last entry too, which is then looked up once for each entry.
    own = LedgerEntry.objects.filter(account=OuterRef("pk")).order_by().values("account")
    accounts = CreditAccount.objects.annotate(
        entry_sum=Coalesce(Subquery(own.annotate(sum=Sum("amount")).values("sum")), 0),
        last_balance=Coalesce(Subquery(last_entry.values("balance_after")[:1]), 0),
    )
    drifting = accounts.exclude(balance=F("entry_sum"), last_balance=F("balance")).order_by("pk")
    for row in drifting.values_list("pk", "balance", "entry_sum", "last_balance"):
        yield Drift(*row)


def accounts_off_their_last_entry() -> int:
    """How many balances are not what their last entry says: one look into an index for each account."""
    last_entry = LedgerEntry.objects.filter(account=OuterRef("pk")).order_by("-id")
    last_balance = Coalesce(Subquery(last_entry.values("balance_after")[:1]), 0)
    return (
        CreditAccount.objects.annotate(last_balance=last_balance).exclude(balance=F("last_balance")).count()
    )


@dataclass(frozen=True)
class Belongings:
    """What goes, and what stays without a name, when a user is deleted. Counts."""

    balance: int
    entries: int
    taken: list[tuple[str, int]]
    anonymised: list[tuple[str, int]]


def belongings(user: User) -> Belongings:
    """What refers to a user, whichever app it is of: its foreign key says what becomes of it."""
    tokens = OutstandingToken.objects.filter(user=user).count()
    taken = [("log-in token" if tokens == 1 else "log-in tokens", tokens)]
    anonymised: list[tuple[str, int]] = []
    for relation in User._meta.related_objects:
        model = relation.related_model
        if model in (CreditAccount, OutstandingToken):
            continue
        count = model._base_manager.filter(**{relation.field.name: user}).count()
        row = (str(model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural), count)
        (taken if relation.on_delete is CASCADE else anonymised).append(row)
    account = user.credit_account
    return Belongings(account.balance, account.entries.count(), taken, anonymised)
