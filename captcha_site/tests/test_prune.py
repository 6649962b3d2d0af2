"""manage.py prune, and what a deleted user takes along."""

import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command
from django.utils import timezone

from accounts import services
from accounts.models import LedgerEntry, User
from accounts.selectors import drifting_accounts
from captcha_site import retention
from jobs.models import JobRun
from ml.models import ModelVersion, ShadowReading
from solving.models import IdempotencyKey, Solve, SolveReport
from solving.tests.conftest import Caller
from solving.tests.pictures import picture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def images(settings: Any, tmp_path: Path) -> Path:
    """Where images of solves are kept."""
    folder = tmp_path / "solved"
    solved = settings.STORAGES["solved"] | {"OPTIONS": {"location": folder}}
    settings.STORAGES = settings.STORAGES | {"solved": solved}
    return folder


def prune() -> dict[str, int]:
    out = StringIO()
    call_command("prune", stdout=out)
    rows = (line.split(" ", 1) for line in out.getvalue().splitlines())
    return {what: int(count.replace(",", "")) for count, what in rows}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def aged(solve_id: int, **ago: int) -> None:
    Solve.objects.filter(pk=solve_id).update(created=timezone.now() - timedelta(**ago))


def test_the_history_is_kept_for_ever_unless_a_setting_says_otherwise(caller: Caller, settings: Any) -> None:
    aged(caller.solve(picture()).json()["id"], days=3650)
    assert "solves" not in prune()
    settings.HISTORY_DAYS = 365
    assert prune()["solves"] == 1
    assert not Solve.objects.exists()


def test_only_what_is_past_its_time_goes_and_the_ledger_stays(
    caller: Caller, user: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solving.retention.BATCH", 2)
    settings.HISTORY_DAYS = 30
    ids = [caller.solve(picture()).json()["id"] for _ in range(6)]
    for number, solve_id in enumerate(ids[:5]):
        aged(solve_id, days=31 + number)
    aged(ids[5], days=29)
    SolveReport.objects.create(solve_id=ids[0], user=user, verdict="correct", state="noted")
    assert prune()["solves"] == 5
    assert list(Solve.objects.values_list("pk", flat=True)) == [ids[5]]
    assert LedgerEntry.objects.filter(kind="charge").count() == 6
    assert not list(drifting_accounts())


def test_images_go_with_the_time_for_reports(
    caller: Caller, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.solve(picture())
    assert prune()["images past the time for reports"] == 0
    assert len(files(images)) == 1
    later = timezone.now() + timedelta(hours=2)
    monkeypatch.setattr("solving.kept_images.timezone.now", lambda: later)
    assert prune()["images past the time for reports"] == 1
    assert not files(images)


def test_everything_else_has_its_own_time(user: User, caller: Caller) -> None:
    now = timezone.now()
    caller.solve(picture(), key="a-retry")
    IdempotencyKey.objects.update(created=now - timedelta(hours=25))
    version = ModelVersion.objects.filter(slug="general").get()
    given = {
        "version": version,
        "served_version": "a/1",
        "served_text": "",
        "served_answer": "",
        "agreed": True,
    }
    for number, days in enumerate((100, 91, 89)):
        ShadowReading.objects.create(reference=str(number), created=now - timedelta(days=days), **given)
        JobRun.objects.create(kind="evaluate", state="succeeded", finished=now - timedelta(days=days))
    JobRun.objects.create(kind="evaluate", created=now - timedelta(days=100))  # it waits still
    attempt = AccessAttempt.objects.create(username="ada", failures_since_start=1)
    AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=now - timedelta(days=31))
    pruned = prune()
    assert pruned["answers to retries"] == 1
    assert pruned["readings in shadow"] == 2
    assert pruned["jobs"] == 2
    assert pruned["failed log-ins"] == 1
    assert ShadowReading.objects.count() == 1
    assert JobRun.objects.count() == 2


def test_nothing_goes_twice(caller: Caller) -> None:
    caller.solve(picture())
    assert set(prune().values()) == {0}
    assert all(pruned.count == 0 for pruned in retention.prune())


@pytest.mark.django_db(transaction=True)
def test_a_deleted_user_takes_the_kept_images_along(
    caller: Caller, user: User, outsider: User, images: Path
) -> None:
    mine = caller.solve(picture()).json()["id"]
    theirs = Caller(outsider).solve(picture()).json()["id"]
    (images / "reported").mkdir()
    for solve_id, owner in ((mine, user), (theirs, outsider)):
        SolveReport.objects.create(solve_id=solve_id, user=owner, verdict="incorrect", state="waiting")
        (images / "reported" / str(solve_id)).write_bytes(b"image")
    services.delete_user(user=user, actor=None)
    assert files(images) == [str(theirs), str(theirs)]
    assert Solve.objects.get(pk=mine).user is None


def test_what_waits_for_the_staff_too_long_goes(images: Path) -> None:
    (images / "reported").mkdir(parents=True)
    for name, days in (("1", 31), ("2", 29)):
        file = images / "reported" / name
        file.write_bytes(b"image")
        moment = (timezone.now() - timedelta(days=days)).timestamp()
        os.utime(file, (moment, moment))
    assert prune()["reported images"] == 1
    assert files(images) == ["2"]
