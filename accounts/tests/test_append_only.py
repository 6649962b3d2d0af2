"""The database itself keeps ledger entries as they are."""

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection, transaction

from accounts import append_only
from accounts.checks import check_ledger_triggers
from accounts.models import LedgerEntry, User

pytestmark = pytest.mark.django_db


def test_the_triggers_exist_after_all_migrations() -> None:
    assert append_only.missing(connection) == set()


def test_an_entry_cannot_be_updated(alice: User) -> None:
    with pytest.raises(DatabaseError, match=append_only.MESSAGE), transaction.atomic():
        LedgerEntry.objects.update(amount=1000)
    assert LedgerEntry.objects.get().amount == 10


def test_an_entry_cannot_be_deleted(alice: User) -> None:
    with pytest.raises(DatabaseError, match=append_only.MESSAGE), transaction.atomic():
        LedgerEntry.objects.all().delete()
    assert LedgerEntry.objects.count() == 1


def test_an_entry_cannot_be_replaced_or_truncated(alice: User) -> None:
    entry = LedgerEntry.objects.get()
    connection.check_constraints()  # PostgreSQL truncates no table with checks to come
    statement, values = "TRUNCATE accounts_ledgerentry", []
    if connection.vendor == "sqlite":
        statement = "INSERT OR REPLACE INTO accounts_ledgerentry (id, amount) VALUES (%s, 1000)"
        values = [entry.pk]
    with (
        pytest.raises(DatabaseError, match=append_only.MESSAGE),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, values)
    assert LedgerEntry.objects.get().amount == 10


def test_the_system_check_notices_missing_triggers() -> None:
    assert check_ledger_triggers(databases=["default"]) == []
    with append_only.put_aside(connection):
        (error,) = check_ledger_triggers(databases=["default"])
    assert error.id == "accounts.E001"
    assert all(name in error.msg for name in append_only._triggers(connection))
    assert check_ledger_triggers(databases=["default"]) == []


def test_the_check_runs_with_the_database_checks() -> None:
    with append_only.put_aside(connection), pytest.raises(SystemCheckError, match=r"accounts\.E001"):
        call_command("check", databases=["default"])
