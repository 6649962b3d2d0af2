"""A type goes with all that is of it, by its page or with its owner's account; and it can be taken along."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management import CommandError, call_command

from accounts.models import LedgerEntry, User
from accounts.services import delete_user
from jobs import services as jobs
from jobs.models import JobRun
from labeling.models import Dataset, Label, Sample
from labeling.training import promote_and_read
from ml import registry
from ml.management.commands import train as train_command
from ml.models import CaptchaType, ModelVersion
from ml.tests.artifacts import write_reader
from ml.training_runs import TrainingFolder
from own_types import services, trainings
from own_types.errors import NameTaken
from own_types.models import DeletedType, Training
from own_types.tests.conftest import PASSWORD, browser_of, entries, opened, order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("readers", "_no_launch")]


def files() -> list[Path]:
    """All that lies in the folders of samples, data sets and trained models."""
    roots = (site_settings.SAMPLES_ROOT, site_settings.DATASETS_ROOT, site_settings.ARTIFACTS_ROOT)
    return [path for root in roots for path in Path(root).rglob("*") if path.is_file()]


@pytest.fixture
def served(ada: User, gate: CaptchaType, run_training: Callable[..., None]) -> CaptchaType:
    """A type with a version that serves."""
    run_training(order(ada, gate))
    trainings.settle_all()
    promote_and_read(captcha_type=gate, number=1, reason="", force=False, by=ada)
    registry.reset()
    return gate


def test_the_page_asks_for_the_name_and_deletes_all(ada: User, eve: User, served: CaptchaType) -> None:
    browser, address = browser_of(ada), f"/accounts/types/{served.slug}/delete"
    assert "16 images with 16 labels" in browser.get(address).content.decode()
    answer = browser.post(address, {"name": "another"})
    assert answer.status_code == 400
    assert "This is not its name." in answer.content.decode()
    assert len(files()) > 32
    assert served.slug in registry.recognizer(ada.pk).readers

    assert browser.post(address, {"name": served.slug}).status_code == 302
    assert files() == []
    for model in (Sample, Label, Dataset, DeletedType):
        assert not model._default_manager.exists(), model
    assert not CaptchaType.objects.filter(owner=ada).exists()
    assert not ModelVersion.objects.filter(slug=served.slug).exists()
    registry.reset()
    assert served.slug not in registry.recognizer(ada.pk).readers
    assert entries(ada) == [("training", -20)]  # a version came out of it
    assert browser.get(f"/accounts/types/{served.slug}/").status_code == 404
    assert opened(ada).slug == served.slug  # the name is free again


def test_a_training_that_waits_is_cancelled_and_paid_back(ada: User, gate: CaptchaType) -> None:
    order(ada, gate)
    services.delete_type(captcha_type=gate)
    call_command("settle_trainings")
    assert JobRun.objects.get().state == "cancelled"
    assert entries(ada) == [("training", -20), ("refund", 20)]
    assert files() == []


def test_a_training_under_way_ends_without_a_version_and_without_a_trace(
    ada: User, gate: CaptchaType, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = order(ada, gate)
    run = jobs.claim(run_id=JobRun.objects.get().pk, host="here", pid=1)
    assert run is not None

    def write(self: Any, slug: str, folders: Any, folder: TrainingFolder, options: dict[str, Any]) -> None:
        write_reader(folder.path, slug, folder.version, text="A0", folder=folder.path)
        services.delete_type(captcha_type=CaptchaType.objects.get(slug=slug))

    monkeypatch.setattr(train_command.Command, "_train", write)
    with pytest.raises(CommandError, match="the type was deleted"):
        call_command("train_dataset", *run.arguments)
    assert not CaptchaType.objects.filter(slug=gate.slug).exists()  # above all no public one of its name
    assert DeletedType.objects.exists()
    with pytest.raises(NameTaken, match="still being deleted"):
        opened(ada)
    jobs.finish(run, state="cancelled")
    call_command("settle_trainings")
    assert files() == []
    assert not DeletedType.objects.exists()
    assert entries(ada) == [("training", -20), ("refund", 20)]
    placed.refresh_from_db()
    assert (placed.captcha_type, placed.slug) == (None, gate.slug)


def test_files_that_a_crash_left_go_with_the_next_job(
    ada: User, gate: CaptchaType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(deleted: DeletedType) -> bool:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(services, "clear_up", crash)
        services.delete_type(captcha_type=gate)
    assert len(files()) == 16
    call_command("settle_trainings")
    assert files() == []


def test_an_account_takes_its_types_along(ada: User, eve: User, served: CaptchaType) -> None:
    placed = order(ada, served)
    account = ada.credit_account
    other = opened(eve)
    page = browser_of(ada).get("/accounts/delete/").content.decode()
    assert "1 captcha type" in page
    assert browser_of(ada).post("/accounts/delete/", {"password": PASSWORD}).status_code == 302
    assert list(CaptchaType.objects.filter(owner__isnull=False)) == [other]
    assert files() == []
    assert not Training.objects.exists()
    assert placed.run is not None
    assert JobRun.objects.get(pk=placed.run.pk).state == "cancelled"
    call_command("settle_trainings")
    account.refresh_from_db()
    assert (account.balance, account.user) == (0, None)  # nothing comes back to an account that is closed
    assert not LedgerEntry.objects.filter(account=account, kind="refund").exists()


def test_an_admin_who_deletes_a_user_deletes_the_types_too(ada: User, clerk: User, gate: CaptchaType) -> None:
    delete_user(user=ada, actor=clerk)
    assert files() == []
    assert not Sample.objects.exists()


def test_my_data_holds_images_texts_and_versions(ada: User, eve: User, served: CaptchaType) -> None:
    exported = browser_of(ada).post("/accounts/data/export").getvalue()
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        names = set(archive.namelist())
        folder = f"types/{served.slug}/"
        table = archive.read(f"{folder}labels.csv").decode().splitlines()
        versions = [json.loads(line) for line in archive.read(f"{folder}versions.jsonl").splitlines()]
        assert json.loads(archive.read("trainings_as_user.jsonl").splitlines()[0])["price"] == 20
        assert json.loads(archive.read("captcha_types_as_owner.jsonl"))["slug"] == served.slug
        images = [name for name in names if name.startswith(f"{folder}images/")]
        assert archive.read(images[0]).startswith(b"\x89PNG")
    assert len(images) == 16
    assert len(table) == 17
    assert {line.split(",")[0] for line in table[1:]} == {name.removeprefix(folder) for name in images}
    assert [one["version"] for one in versions] == [1]


def test_an_image_that_is_gone_keeps_nobody_from_their_data(ada: User, gate: CaptchaType) -> None:
    next(path for path in files() if path.suffix == ".png").unlink()
    exported = browser_of(ada).post("/accounts/data/export").getvalue()
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        assert sum("/images/" in name for name in archive.namelist()) == 15
