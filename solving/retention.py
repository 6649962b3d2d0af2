"""What is kept of solves and for how long; and what goes at once with its user."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from django.core.files.storage import storages
from django.core.files.storage.base import Storage
from django.db import DEFAULT_DB_ALIAS, transaction
from django.utils import timezone

from accounts.models import User
from solving import idempotency, kept_images
from solving.models import DayTotal, Solve, SolveReport, TaskGroup

BATCH = 1000
"""Rows that one transaction deletes: few enough that nobody waits for it."""
REPORTED = "reported"
"""The folder in which `kept_images` keeps what waits for the staff."""


def delete_solves_before(moment: datetime) -> int:
    """Delete solves and refusals older than that, with what belongs to them. Entries of the ledger stay.

    Each batch begins where the last one ended: from the start of the index it would pass by all that was
    deleted before and not yet vacuumed, so that a million rows would cost their square.
    """
    deleted = 0
    old = Solve.objects.filter(created__lt=moment).order_by("created", "id")
    rest = old
    while rows := list(rest.values_list("pk", "created")[:BATCH]):
        ids = [pk for pk, _ in rows]
        with transaction.atomic():
            SolveReport.objects.filter(pk__in=ids).delete()
            # The reports are gone: to look for them once more, as delete() would, is a query more.
            Solve.objects.filter(pk__in=ids)._raw_delete(using=DEFAULT_DB_ALIAS)
        deleted += len(ids)
        rest = old.filter(created__gte=rows[-1][1])
    groups = TaskGroup.objects.filter(created__lt=moment).order_by("created")
    while ids := list(groups.values_list("pk", flat=True)[:BATCH]):
        TaskGroup.objects.filter(pk__in=ids).delete()
    _delete_totals_before(moment.astimezone(UTC).date())
    return deleted


def _delete_totals_before(day: date) -> None:
    """They were made a day after the other, so the first ids are of the oldest days."""
    oldest = DayTotal.objects.order_by("pk").values_list("pk", "day")
    while ids := [pk for pk, of_day in oldest[:BATCH] if of_day < day]:
        DayTotal.objects.filter(pk__in=ids).delete()


def delete_expired_answers() -> int:
    """Delete what retries were answered with, past its day."""
    deleted = 0
    while batch := idempotency.delete_expired():
        deleted += batch
    return deleted


def delete_reported_images_before(moment: datetime) -> int:
    """Delete images that wait for the staff for longer."""
    storage = storages["solved"]
    old = [name for name in _reported(storage) if storage.get_modified_time(name) < moment]
    for name in old:
        storage.delete(name)
    return len(old)


def delete_images_of(user: User) -> None:
    """Once the user is deleted, delete the images of theirs that are still kept."""
    since = timezone.now() - kept_images.window() - kept_images.FOLDER
    solves = list(Solve.objects.filter(user=user, created__gte=since).only("pk", "created"))
    reports = SolveReport.objects.filter(user=user).values_list("pk", flat=True)
    names = [*map(kept_images._name, solves), *(f"{REPORTED}/{pk}" for pk in reports)]

    def delete() -> None:
        storage = storages["solved"]
        for name in names:
            storage.delete(name)

    transaction.on_commit(delete)


def _reported(storage: Storage) -> Iterator[str]:
    try:
        _, names = storage.listdir(REPORTED)
    except FileNotFoundError:
        return
    for name in names:
        yield f"{REPORTED}/{name}"
