"""manage.py backup and restore, tested by restoring; manage.py prepare."""

import json
import tarfile
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import append_only, credits, services
from accounts.models import LedgerEntry, User
from accounts.selectors import drifting_accounts
from captcha_site import backups
from jobs.models import Schedule
from ml.models import ModelVersion
from solving.models import Solve
from solving.tests.conftest import Caller
from solving.tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> Path:
    """Where models, samples and data sets lie."""
    for name in ("artifacts", "samples", "datasets"):
        setattr(settings, f"{name.upper()}_ROOT", tmp_path / "files" / name)
        (tmp_path / "files" / name / "deep").mkdir(parents=True)
    (tmp_path / "files" / "samples" / "deep" / "a.png").write_bytes(b"an image")
    settings.SOLVED_IMAGES_ROOT = tmp_path / "solved"
    return tmp_path / "files"


@pytest.fixture
def archive(caller: Caller, tmp_path: Path) -> Path:
    """A backup of a service with a user who has solved twice."""
    for _ in range(2):
        assert caller.solve(picture()).status_code == 200
    out = StringIO()
    call_command("backup", to=tmp_path / "backups", stdout=out)
    (made,) = (tmp_path / "backups").iterdir()
    assert str(made) in out.getvalue()
    return made


def test_what_was_lost_is_there_again(archive: Path, user: User, outsider: User, files: Path) -> None:
    entries, solves = LedgerEntry.objects.count(), set(Solve.objects.values_list("pk", "text"))
    credits.grant(user=user, amount=90, reason="after the backup", actor="the test")
    services.delete_user(user=outsider, actor=None)
    (files / "samples" / "deep" / "a.png").unlink()
    call_command("restore", str(archive), replace=True, stdout=StringIO())
    assert (User.objects.get(pk=user.pk).credit_account.balance, user.username) == (8, "ada")
    assert LedgerEntry.objects.count() == entries - 1  # the outsider's gift was made after the backup
    assert set(Solve.objects.values_list("pk", "text")) == solves
    assert (files / "samples" / "deep" / "a.png").read_bytes() == b"an image"
    assert not list(drifting_accounts())
    assert not append_only.missing(connection)
    assert Caller(user).solve(picture()).status_code == 200  # and it goes on: ids follow those restored


def test_a_database_in_use_is_not_replaced_by_mistake(archive: Path, user: User) -> None:
    credits.grant(user=user, amount=90, reason="after the backup", actor="the test")
    with pytest.raises(CommandError, match="--replace"):
        call_command("restore", str(archive))
    assert User.objects.get(pk=user.pk).credit_account.balance == 98


@pytest.mark.parametrize("harm", ["cut", "altered", "no_archive"])
def test_a_damaged_archive_touches_nothing(archive: Path, user: User, harm: str) -> None:
    data = archive.read_bytes()
    if harm == "cut":
        archive.write_bytes(data[: len(data) // 2])
    elif harm == "altered":
        archive.write_bytes(data.replace(b"an image", b"an imagE"))
    else:
        archive.write_bytes(b"something else")
    credits.grant(user=user, amount=90, reason="after the backup", actor="the test")
    with pytest.raises(CommandError, match=r"archive|damaged"):
        call_command("restore", str(archive), replace=True)
    assert User.objects.get(pk=user.pk).credit_account.balance == 98


def test_an_archive_of_another_kind_of_database_is_refused(archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    (tmp_path / "manifest.json").write_text(json.dumps({"database": "oracle", "sha256": {}}))
    with tarfile.open(other, "w") as members:
        members.add(tmp_path / "manifest.json", "manifest.json")
    with pytest.raises(CommandError, match="oracle"):
        call_command("restore", str(other), replace=True)


def test_it_is_for_its_owner_alone_and_old_ones_go(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    call_command("backup", to=archive.parent, keep=2, stdout=StringIO())
    call_command("backup", to=archive.parent, keep=2, stdout=StringIO())
    kept = sorted(archive.parent.iterdir())
    assert len(kept) == 2
    assert archive not in kept
    assert backups.delete_all_but(2, archive.parent) == 0


def test_it_is_prepared_as_often_as_one_likes(db: None, user: User) -> None:
    for _ in range(2):
        call_command("prepare", stdout=StringIO())
    kinds = list(Schedule.objects.values_list("kind", flat=True))
    assert len(kinds) == len(set(kinds))
    assert {"prune", "check_ledger", "backup"} <= set(kinds)
    assert ModelVersion.objects.filter(state="serving").exists()
