"""Customers with credits, drawn images, and a training that writes a tiny reader at once."""

import io
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from accounts import credits
from accounts.models import LedgerEntry, User
from jobs import services as jobs
from jobs.models import JobRun
from labeling.models import Sample
from labeling.tests.conftest import drawn
from ml import registry
from ml.management.commands import train as train_command
from ml.models import CaptchaType
from ml.services import install_shipped_models
from ml.tests.artifacts import write_reader, write_types
from ml.training_runs import TrainingFolder
from own_types import services, trainings
from own_types.models import Training

PASSWORD = "a password of theirs"
PRICE = 20
TEXTS = [f"{letter}{digit}" for letter in "AB" for digit in "01234567"]
"""Labels enough to train on: of the sixteen two fall to the test."""


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Samples, data sets and models of the test alone; and an interpreter that would train."""
    storage = FileSystemStorage(location=tmp_path / "samples")
    monkeypatch.setattr(Sample._meta.get_field("image"), "storage", storage)
    settings.SAMPLES_ROOT, settings.DATASETS_ROOT = tmp_path / "samples", tmp_path / "datasets"
    settings.SHIPPED_ARTIFACTS, settings.ARTIFACTS_ROOT = tmp_path / "shipped", tmp_path / "trained"
    settings.TRAINING_PYTHON = sys.executable
    settings.TRAINING_PRICE = PRICE
    cache.clear()
    registry.reset()
    yield
    registry.reset()


@pytest.fixture
def readers(db: None, settings: Any) -> None:
    """What is shipped: a general reader that writes GENERAL, and a type model that knows no private type."""
    write_types(settings.SHIPPED_ARTIFACTS, labels=("dark", "bright", "other"))
    write_reader(settings.SHIPPED_ARTIFACTS, "dark", case_sensitive=False)
    write_reader(settings.SHIPPED_ARTIFACTS, "bright", text="33+2=?", arithmetic=True)
    write_reader(settings.SHIPPED_ARTIFACTS, "general", text="GENERAL")
    install_shipped_models()


@pytest.fixture
def _no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is queued waits for the test to take it up."""
    monkeypatch.setattr(jobs, "launch", lambda run: None)


@pytest.fixture
def make_customer(db: None) -> Callable[..., User]:
    def make(name: str, balance: int = 50, **fields: Any) -> User:
        user = User.objects.create_user(name, f"{name}@example.org", PASSWORD, **fields)
        if balance:
            credits.grant(user=user, amount=balance, reason="for the test", actor="the test")
        return user

    return make


@pytest.fixture
def ada(make_customer: Callable[..., User]) -> User:
    return make_customer("ada")


@pytest.fixture
def eve(make_customer: Callable[..., User]) -> User:
    """Another customer, who must see nothing of the first one's."""
    return make_customer("eve")


@pytest.fixture
def clerk(make_customer: Callable[..., User]) -> User:
    return make_customer("clerk", is_staff=True)


def browser_of(user: User) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


def opened(user: User, name: str = "gate") -> CaptchaType:
    return services.open_type(user=user, title="The gate", name=name)


def zipped(texts: list[str]) -> bytes:
    """A zip of drawn images whose names are their labels."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for text in texts:
            archive.writestr(f"{text}.png", drawn(text))
    return stream.getvalue()


def bring(user: User, captcha_type: CaptchaType, texts: list[str] | None = None) -> dict[str, Any]:
    """Upload a labelled zip as the page does; what came of it."""
    upload = SimpleUploadedFile("labels.zip", zipped(TEXTS if texts is None else texts))
    answer = browser_of(user).post(
        f"/labeling/{captcha_type.slug}/import", {"files": upload, "labelled": "1"}
    )
    assert answer.status_code == 200, answer.content
    report: dict[str, Any] = answer.json()
    return report


@pytest.fixture
def gate(ada: User) -> CaptchaType:
    """Ada's type, with labels to train on."""
    captcha_type = opened(ada)
    bring(ada, captcha_type)
    return captcha_type


def order(user: User, captcha_type: CaptchaType, key: uuid.UUID | None = None) -> Training:
    return trainings.order(user=user, captcha_type=captcha_type, key=key or uuid.uuid4())


def end(placed: Training, state: str = "failed") -> None:
    """Its job as its runner leaves it."""
    assert placed.run is not None
    JobRun.objects.filter(pk=placed.run.pk).update(state=state)
    placed.refresh_from_db()


@pytest.fixture
def run_training(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Does what the job of an order does, down to the network, which is a tiny one that writes `text`."""

    def really_run(placed: Training, text: str = "A0", state: str = "succeeded") -> None:
        def write(
            self: Any, slug: str, folders: Any, folder: TrainingFolder, options: dict[str, Any]
        ) -> None:
            write_reader(folder.path, slug, folder.version, text=text, folder=folder.path)

        monkeypatch.setattr(train_command.Command, "_train", write)
        run = jobs.claim(run_id=placed.run_id or 0, host="here", pid=1)
        assert run is not None
        words = [str(word) for word in run.arguments]
        call_command("train_dataset", *words, verbosity=0)
        jobs.finish(run, state=state, exit_code=0)
        placed.refresh_from_db()

    return really_run


def entries(user: User) -> list[tuple[str, int]]:
    """What trainings changed of the balance, in order."""
    kinds = (LedgerEntry.Kind.TRAINING, LedgerEntry.Kind.REFUND)
    rows = LedgerEntry.objects.filter(account=user.credit_account, kind__in=kinds).order_by("pk")
    return list(rows.values_list("kind", "amount"))
