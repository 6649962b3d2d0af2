"""System checks: the database still guards the ledger."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from accounts import append_only


@register(Tags.database)
def check_ledger_triggers(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Run by ``migrate`` and by ``check --database default``."""
    errors: list[CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        if append_only.TABLE not in connection.introspection.table_names():
            continue  # before the first migration
        if absent := append_only.missing(connection):
            errors.append(
                Error(
                    f"The ledger of database {alias!r} lacks the triggers {', '.join(sorted(absent))}: "
                    "its entries can be changed.",
                    hint="End the migration that remade the table with append_only.install_in_migration.",
                    id="accounts.E001",
                )
            )
    return errors
