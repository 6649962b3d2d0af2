"""``manage.py prepare``: bring the database up to the program, before its processes start."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import time
from time import sleep
from typing import Any

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections

from jobs.commands import TaskCommand
from jobs.models import Schedule

LOCK = 7_203_114
"""Of PostgreSQL's advisory locks: any number that nobody else takes."""
SECONDS_BETWEEN_LOOKS = 0.5
UPKEEP: list[tuple[str, dict[str, Any]]] = [
    ("settle_reports", {"every_minutes": 1}),
    ("settle_trainings", {"every_minutes": 1}),
    ("delete_kept_images", {"every_minutes": 10}),
    ("sum_up_days", {"every_minutes": 60}),
    ("prune", {"every_minutes": 60}),
    ("backup", {"daily_at": time(2, 30)}),
    ("check_ledger", {"daily_at": time(3, 30)}),
]
"""What is to be done by itself, where there is no schedule of the kind yet."""


class Command(TaskCommand):
    help = (
        "Migrate the database, register the shipped models and schedule the upkeep. It may run again at any "
        "time, and on several machines at once: one after the other does it."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with _alone():
            call_command("migrate", interactive=False, verbosity=0)
            call_command("install_models", stdout=self.stdout)
            for kind, rhythm in UPKEEP:
                if not Schedule.objects.filter(kind=kind).exists():
                    Schedule.objects.create(kind=kind, **rhythm)
                    self.stdout.write(f"scheduled: {kind}")


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time, on PostgreSQL, where several machines may begin at once.

    By a lock that ends with its transaction, on a connection that stays in it: a pool of transactions would
    take a lock of the session in one session and release it in another. Who waits holds no connection of the
    pool, or those who wait could leave none for who works.
    """
    if connection.vendor != "postgresql":
        yield
        return
    waiting = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        waiting.set_autocommit(False)
        with waiting.cursor() as cursor:
            while not _taken(cursor):
                waiting.rollback()
                sleep(SECONDS_BETWEEN_LOOKS)
        yield
    finally:
        waiting.close()


def _taken(cursor: Any) -> bool:
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    return bool(cursor.fetchone()[0])
