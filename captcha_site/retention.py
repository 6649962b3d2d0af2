"""What is past its time goes, in small batches: the policies of `manage.py prune`, one after the other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.core.management import call_command
from django.db.models import Model
from django.utils import timezone

from jobs.models import JobRun
from ml.models import ShadowReading
from solving import kept_images, retention

BATCH = 1000


@dataclass(frozen=True)
class Pruned:
    what: str
    count: int


def prune() -> Iterator[Pruned]:
    """Apply each policy; what a setting keeps for ever (0 days) is left out."""
    yield Pruned("images past the time for reports", kept_images.delete_expired())
    yield Pruned("answers to retries", retention.delete_expired_answers())
    policies: list[tuple[str, int, Callable[[datetime], int]]] = [
        ("reported images", settings.REPORTED_IMAGES_DAYS, retention.delete_reported_images_before),
        ("solves", settings.HISTORY_DAYS, retention.delete_solves_before),
        ("readings in shadow", settings.SHADOW_READINGS_DAYS, _shadow_readings),
        ("jobs", settings.JOB_RUNS_DAYS, _jobs),
        ("failed log-ins", settings.LOGIN_ATTEMPTS_DAYS, _login_attempts),
    ]
    for what, days, delete_before in policies:
        if days:
            yield Pruned(what, delete_before(timezone.now() - timedelta(days=days)))
    call_command("clearsessions")
    call_command("flushexpiredtokens")


def _shadow_readings(moment: datetime) -> int:
    return _delete_oldest(ShadowReading, moment)


def _jobs(moment: datetime) -> int:
    deleted = 0
    ended = JobRun.objects.filter(finished__lt=moment).order_by("finished")
    while ids := list(ended.values_list("pk", flat=True)[:BATCH]):
        deleted += JobRun.objects.filter(pk__in=ids).delete()[0]
    return deleted


def _login_attempts(moment: datetime) -> int:
    return sum(
        model.objects.filter(attempt_time__lt=moment).delete()[0]
        for model in (AccessAttempt, AccessFailureLog, AccessLog)
    )


def _delete_oldest(model: type[Model], moment: datetime) -> int:
    """Rows of a table that only grows are as old as their ids are small: no index on the time is needed."""
    deleted = 0
    while True:
        rows = model._default_manager.order_by("pk").values_list("pk", "created")[:BATCH]
        old = [pk for pk, created in rows if created < moment]
        if not old:
            return deleted
        deleted += model._default_manager.filter(pk__in=old).delete()[0]
