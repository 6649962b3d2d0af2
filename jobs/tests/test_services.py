"""Starting, claiming, cancelling, and schedules."""

import threading
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs import interpreters, services
from jobs.interpreters import NoTrainingPython
from jobs.kinds import Kind, UnknownKind, register
from jobs.models import JobRun, Schedule
from jobs.services import AlreadyRunning, start_job
from jobs.tests.conftest import StartLine

NOON = datetime(2030, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.django_db
def test_a_kind_that_nobody_registered_is_refused() -> None:
    with pytest.raises(UnknownKind, match="no kind of job named nonsense"):
        start_job(kind="nonsense")
    assert not JobRun.objects.exists()


def test_two_kinds_cannot_share_a_name() -> None:
    register(Kind("practice", "shell", "Practice", restartable=True))  # the same again
    with pytest.raises(ValueError, match="two kinds"):
        register(Kind("practice", "check", "Something else"))


@pytest.mark.django_db
def test_one_run_of_a_key_at_a_time(queue_line: StartLine) -> None:
    first = queue_line(key="training shop")
    with pytest.raises(AlreadyRunning) as refused:
        queue_line(key="training shop")
    assert refused.value.run == first
    queue_line(key="training other")
    services.cancel(run=first)
    assert queue_line(key="training shop").pk != first.pk
    assert queue_line().pk != queue_line().pk


@pytest.mark.django_db
def test_training_without_an_environment_says_what_to_type(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRAINING_PYTHON = "/nowhere/python"
    with pytest.raises(NoTrainingPython) as refused:
        start_job(kind="training practice", args=["shop", "--images", "a folder"])
    assert refused.value.command == ".venv-training/bin/python manage.py train shop --images 'a folder'"
    assert "make training" in str(refused.value)

    settings.TRAINING_PYTHON = ""
    monkeypatch.setattr(interpreters, "find_spec", lambda name: None)
    with pytest.raises(NoTrainingPython):
        start_job(kind="training practice", args=[])
    assert not JobRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_claims_one_wins(queue_line: StartLine) -> None:
    run, won = queue_line(), []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait()
        try:
            if services.claim(run_id=run.pk, host="here", pid=1):
                won.append(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db
def test_a_run_that_kills_its_process_each_time_is_given_up(queue_line: StartLine) -> None:
    run = queue_line()
    for attempt in range(1, services.MAX_ATTEMPTS + 1):
        claimed = services.claim(run_id=run.pk, host="here", pid=1)
        assert claimed is not None
        assert claimed.attempt == attempt
        JobRun.objects.update(heartbeat=timezone.now() - 2 * services.LOST_AFTER)
        assert services.recover_lost() == 1
    run.refresh_from_db()
    assert run.state == "failed"


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db
def test_a_lost_run_that_was_to_be_cancelled_is(queue_line: StartLine) -> None:
    run = queue_line()
    services.claim(run_id=run.pk, host="here", pid=1)
    assert services.cancel(run=run)
    assert services.recover_lost(silent_for=timedelta(0)) == 1
    run.refresh_from_db()
    assert run.state == "cancelled"


@pytest.mark.django_db
def test_what_waits_too_long_is_launched_again(
    queue_line: StartLine, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    launched: list[JobRun] = []
    old, _young = queue_line(), queue_line()
    JobRun.objects.filter(pk=old.pk).update(created=timezone.now() - 2 * services.OVERDUE)
    monkeypatch.setattr(services, "launch", launched.append)
    assert services.launch_overdue() == 1
    assert launched == [old]
    settings.CELERY_BROKER_URL = "memory://"  # where waiting is usual
    assert services.launch_overdue() == 0


@pytest.mark.parametrize(
    ("rhythm", "now", "following"),
    [
        ({"every_minutes": 30}, NOON, NOON + timedelta(minutes=30)),
        ({"every_minutes": 30}, NOON + timedelta(minutes=29), NOON + timedelta(minutes=30)),
        ({"every_minutes": 30}, NOON + timedelta(hours=5), NOON + timedelta(hours=5, minutes=30)),
        ({"daily_at": time(3)}, NOON, NOON + timedelta(hours=15)),
        ({"daily_at": time(12)}, NOON, NOON + timedelta(days=1)),
        ({"daily_at": time(13)}, NOON, NOON + timedelta(hours=1)),
    ],
)
def test_the_moment_that_follows(rhythm: dict[str, Any], now: datetime, following: datetime) -> None:
    assert Schedule(kind="practice", next_run=NOON, **rhythm).following(now) == following


@pytest.mark.django_db
@pytest.mark.parametrize("rhythm", [{}, {"every_minutes": 0}, {"every_minutes": 5, "daily_at": time(3)}])
def test_a_schedule_has_one_rhythm(rhythm: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Schedule.objects.create(kind="practice", **rhythm)


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db
def test_what_is_due_starts_once_and_not_beside_itself() -> None:
    due = Schedule.objects.create(kind="practice", arguments=["-c", "pass"], every_minutes=10, next_run=NOON)
    Schedule.objects.create(kind="practice", every_minutes=10, next_run=NOON, enabled=False)
    Schedule.objects.create(kind="gone", every_minutes=10, next_run=NOON)
    started = services.run_due_schedules(now=NOON)
    assert [(run.schedule, run.arguments) for run in started] == [(due, ["-c", "pass"])]
    assert services.run_due_schedules(now=NOON) == []
    assert services.run_due_schedules(now=NOON + timedelta(minutes=10)) == []  # the first still waits
    services.cancel(run=started[0])
    assert len(services.run_due_schedules(now=NOON + timedelta(minutes=20))) == 1


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db(transaction=True)
def test_two_that_look_at_once_start_what_is_due_once() -> None:
    for _ in range(10):
        Schedule.objects.create(kind="practice", every_minutes=10, next_run=NOON)
    barrier = threading.Barrier(2)

    def look() -> None:
        barrier.wait()
        try:
            services.run_due_schedules(now=NOON)
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert JobRun.objects.count() == 10
