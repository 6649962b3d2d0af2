"""A connection that is kept is used without a question while it stands, and replaced once it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql",
        reason="SQLite has no server that could end it: the run on PostgreSQL has these",
    ),
]


@pytest.fixture
def kept() -> Iterator[Any]:
    """A connection as a request finds it that another one has used before."""
    other: Any = connection.copy()
    other.ensure_connection()
    other.health_check_enabled, other.health_check_done = True, False
    yield other
    other.close()


def process_of(database: Any) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end_by_server(database: Any) -> int:
    """End the connection as a restart of the server does; the id of the process that served it."""
    process = int(database.connection.info.backend_pid)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [process])
        assert cursor.fetchone() == (True,)
    return process


def test_a_connection_that_stands_is_kept(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process = int(kept.connection.info.backend_pid)
    monkeypatch.setattr("django.db.backends.postgresql.base.DatabaseWrapper.is_usable", None)  # not asked
    assert process_of(kept) == process


def test_a_connection_that_the_server_ended_is_replaced(kept: Any) -> None:
    process = end_by_server(kept)
    assert process_of(kept) != process


def test_after_an_error_the_server_is_asked(kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.db.backends.postgresql.base.DatabaseWrapper.is_usable", lambda _: False)
    assert kept.is_usable()
    kept.errors_occurred = True
    assert not kept.is_usable()


def test_a_closed_connection_is_not_usable(kept: Any) -> None:
    kept.connection.close()
    assert not kept.is_usable()
