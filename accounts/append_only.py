"""Triggers that keep the ledger append-only, for PostgreSQL and SQLite.

A migration that remakes the ledger's table on SQLite (any AlterField does) drops its triggers without a
word: such a migration ends with ``RunPython(install_in_migration)``. The system check ``accounts.E001``
notices when it did not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps.registry import Apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLE = "accounts_ledgerentry"
MESSAGE = "ledger entries are append-only"

_POSTGRESQL = {
    "ledger_refuses_change": (
        f"CREATE TRIGGER ledger_refuses_change BEFORE UPDATE OR DELETE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()"
    ),
    "ledger_refuses_truncate": (
        f"CREATE TRIGGER ledger_refuses_truncate BEFORE TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
    ),
}
_POSTGRESQL_FUNCTION = f"""
    CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$"""
_ID_TAKEN = "EXISTS (SELECT 1 FROM accounts_ledgerentry WHERE id = NEW.id)"
_SQLITE = {
    "ledger_refuses_update": (
        f"CREATE TRIGGER ledger_refuses_update BEFORE UPDATE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
    "ledger_refuses_delete": (
        f"CREATE TRIGGER ledger_refuses_delete BEFORE DELETE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
    # INSERT OR REPLACE deletes the old row without firing its DELETE trigger.
    "ledger_refuses_replace": (
        f"CREATE TRIGGER ledger_refuses_replace BEFORE INSERT ON {TABLE} WHEN {_ID_TAKEN} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
}


def missing(connection: BaseDatabaseWrapper) -> set[str]:
    """Names of the triggers that this database lacks."""
    if connection.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    with connection.cursor() as cursor:
        cursor.execute(query, [TABLE])
        return set(_triggers(connection)) - {name for (name,) in cursor.fetchall()}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers that are missing."""
    absent = missing(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL_FUNCTION)
        for name in sorted(absent):
            cursor.execute(_triggers(connection)[name])


def remove(connection: BaseDatabaseWrapper) -> None:
    present = set(_triggers(connection)) - missing(connection)
    table = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in sorted(present):
            cursor.execute(f"DROP TRIGGER {name}{table}")


@contextmanager
def put_aside(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Without the triggers inside the block: for tests that empty the database."""
    remove(connection)
    try:
        yield
    finally:
        install(connection)


def install_in_migration(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    install(schema_editor.connection)


def remove_in_migration(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    remove(schema_editor.connection)


def _triggers(connection: Any) -> dict[str, str]:
    return _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
