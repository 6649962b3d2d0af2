"""What changes runs: starting, taking up, cancelling, ending, and finding those whose process died.

Every change of a state is one UPDATE under the condition of what the state was, and counts only if it met a
row. So a job that is delivered twice, or cancelled while it ends, has one fate.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from jobs import interpreters, launching
from jobs.kinds import UnknownKind, kind_named
from jobs.models import JobRun, Schedule

logger = logging.getLogger(__name__)

LOST_AFTER = timedelta(seconds=60)
"""A run that gave no sign of life for so long is lost. Its runner gives one every two seconds."""
MAX_ATTEMPTS = 3
"""How often a restartable run is taken up in all: what kills its process shall not do so for ever."""
OVERDUE = timedelta(minutes=1)
"""So long after its process was asked for, a run that still waits is launched anew …"""
OVERDUE_IN_QUEUE = timedelta(hours=1)
"""… or sent to Celery anew, where waiting is usual. Being launched twice does no harm."""


class JobError(Exception):
    """A job cannot be started; the message says why and what to do."""


class AlreadyRunning(JobError):
    def __init__(self, run: JobRun) -> None:
        super().__init__(f"{run} has not ended yet.")
        self.run = run


def start_job(
    *,
    kind: str,
    args: Sequence[str] = (),
    user: Any = None,
    key: str = "",
    schedule: Schedule | None = None,
) -> JobRun:
    """Queue a run and launch it when the present transaction has committed.

    Raises:
        UnknownKind: no app registered it.
        NoTrainingPython: the kind needs the training packages and no interpreter here has them.
        AlreadyRunning: a run of the same `key` has not ended.
    """
    known = kind_named(kind)
    if not settings.CELERY_BROKER_URL:  # else the workers' environment decides, which is not seen from here
        interpreters.interpreter_for(known, args)
    try:
        with transaction.atomic():
            run = JobRun.objects.create(
                kind=kind, arguments=list(args), key=key, started_by=user, schedule=schedule
            )
    except IntegrityError:
        present = unfinished(key)
        if present is None:
            raise
        raise AlreadyRunning(present) from None
    launch(run)
    return run


def unfinished(key: str) -> JobRun | None:
    """The run of this key that has not ended."""
    states = [JobRun.State.QUEUED, JobRun.State.RUNNING]
    return JobRun.objects.exclude(key="").filter(key=key, state__in=states).first()


def launch(run: JobRun) -> None:
    """After the commit, ask for a process that takes the run up. Failing that the run waits for the next."""

    def now() -> None:
        JobRun.objects.filter(pk=run.pk).update(launched=timezone.now())
        try:
            launching.launch(run)
        except launching.CannotLaunch as error:
            logger.warning("%s waits: %s", run, error)
            JobRun.objects.filter(pk=run.pk, state=JobRun.State.QUEUED).update(line=f"waits: {error}"[:300])

    transaction.on_commit(now)


def claim(*, run_id: int, host: str, pid: int) -> JobRun | None:
    """The queued run, now running in this process; None when it is not queued any more."""
    now = timezone.now()
    run = JobRun.objects.filter(pk=run_id).first()
    if run is None:
        return None
    claimed = JobRun.objects.filter(pk=run_id, state=JobRun.State.QUEUED, attempt=run.attempt).update(
        state=JobRun.State.RUNNING,
        attempt=run.attempt + 1,
        started=now,
        heartbeat=now,
        host=host[:255],
        pid=pid,
        done=0,
        of=0,
        line="",
        log="",
        curve=[],
    )
    if not claimed:
        return None
    run.refresh_from_db()
    return run


def beat(run: JobRun, **told: Any) -> bool:
    """A sign of life, and what the command told meanwhile. False: the run is another process's by now."""
    present = JobRun.objects.filter(pk=run.pk, state=JobRun.State.RUNNING, attempt=run.attempt)
    now = timezone.now()
    if not present.update(heartbeat=now, **told):
        return False
    run.heartbeat = now
    return True


def finish(run: JobRun, *, state: str, outcome: str = "", exit_code: int | None = None, **told: Any) -> bool:
    """End the run; false when it is another process's by now, whose word counts."""
    present = JobRun.objects.filter(pk=run.pk, state=JobRun.State.RUNNING, attempt=run.attempt)
    ended = present.update(
        state=state, outcome=outcome[:300], exit_code=exit_code, finished=timezone.now(), **told
    )
    return ended == 1


def cancel(*, run: JobRun) -> bool:
    """End a queued run at once, and ask the runner of a running one to stop it; false when it has ended."""
    now = timezone.now()
    row = JobRun.objects.filter(pk=run.pk)
    if row.filter(state=JobRun.State.QUEUED).update(
        state=JobRun.State.CANCELLED, cancel_requested=now, finished=now, outcome="cancelled before it began"
    ):
        return True
    return row.filter(state=JobRun.State.RUNNING).update(cancel_requested=now) == 1


def give_back(run: JobRun, *, why: str) -> None:
    """What becomes of a running run whose process is gone: queued again, where that is harmless, or ended."""
    present = JobRun.objects.filter(
        pk=run.pk, state=JobRun.State.RUNNING, attempt=run.attempt, heartbeat=run.heartbeat
    )
    if run.cancel_requested:
        present.update(state=JobRun.State.CANCELLED, outcome=why[:300], finished=timezone.now())
    elif _may_go_on(run):
        again = f"{why}; attempt {run.attempt + 1} of {MAX_ATTEMPTS}"
        if present.update(state=JobRun.State.QUEUED, line=again[:300]):
            launch(run)
    else:
        present.update(state=JobRun.State.FAILED, outcome=why[:300], finished=timezone.now())


def recover_lost(*, silent_for: timedelta = LOST_AFTER) -> int:
    """Find the running runs without a sign of life for so long; how many there were."""
    since = timezone.now() - silent_for
    lost = list(JobRun.objects.filter(state=JobRun.State.RUNNING, heartbeat__lt=since))
    for run in lost:
        give_back(run, why=f"its process (pid {run.pid} on {run.host}) gave no sign of life any more")
    return len(lost)


def launch_overdue() -> int:
    """Launch again what has waited too long to be taken up; how many there were."""
    patience = OVERDUE_IN_QUEUE if settings.CELERY_BROKER_URL else OVERDUE
    since = timezone.now() - patience
    waiting = JobRun.objects.filter(state=JobRun.State.QUEUED)
    overdue = list(waiting.filter(Q(launched__isnull=True, created__lt=since) | Q(launched__lt=since)))
    for run in overdue:
        launch(run)
    return len(overdue)


def run_due_schedules(*, now: datetime | None = None) -> list[JobRun]:
    """Start what is due. Of two that look at once, the one that sets the next moment starts it."""
    now = now or timezone.now()
    started = []
    for schedule in Schedule.objects.filter(enabled=True, next_run__lte=now):
        with transaction.atomic():
            due = Schedule.objects.filter(pk=schedule.pk, next_run=schedule.next_run, enabled=True)
            if not due.update(next_run=schedule.following(now)):
                continue
            try:
                run = start_job(
                    kind=schedule.kind,
                    args=schedule.arguments,
                    key=f"schedule {schedule.pk}",
                    schedule=schedule,
                )
            except (JobError, UnknownKind, interpreters.NoTrainingPython) as error:
                logger.warning("%s was not started: %s", schedule, error)
            else:
                started.append(run)
    return started


def _may_go_on(run: JobRun) -> bool:
    try:
        return kind_named(run.kind).restartable and run.attempt < MAX_ATTEMPTS
    except UnknownKind:
        return False
