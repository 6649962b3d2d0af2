"""Two roots of artifacts in a folder of the test's own, and a process that has loaded nothing yet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from ml import registry
from ml.models import CaptchaType, Evaluation, ModelVersion
from ml.services import install_shipped_models, register_version
from ml.tests.artifacts import write_reader, write_types


@dataclass(frozen=True)
class Roots:
    shipped: Path
    trained: Path


class Clock:
    """A clock that a test moves by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def evaluated(
    version: ModelVersion, right: int, *, n: int = 100, ece: float = 0.01, data: str = "ab" * 32
) -> ModelVersion:
    """`version`, with a stored evaluation of these figures."""
    Evaluation.objects.create(version=version, dataset_hash=data, n=n, right=right, ece=ece, made_by="a test")
    return version


def better(folder: Path) -> ModelVersion:
    """The artifact in `folder` as a candidate that was evaluated to be better than what serves."""
    version = register_version(folder=folder)
    serving = ModelVersion.objects.filter(slug=version.slug, state=ModelVersion.State.SERVING).first()
    data = f"{version.pk:064x}"
    if serving is not None:
        evaluated(serving, 90, data=data)
    return evaluated(version, 91, data=data)


@pytest.fixture
def roots(tmp_path: Path, settings: Any) -> Iterator[Roots]:
    """Empty artifact roots; the registry of this process forgets its models before and after."""
    own = Roots(tmp_path / "shipped", tmp_path / "trained")
    own.shipped.mkdir()
    own.trained.mkdir()
    settings.SHIPPED_ARTIFACTS, settings.ARTIFACTS_ROOT = own.shipped, own.trained
    registry.reset()
    yield own
    registry.reset()


@pytest.fixture
def shipped(roots: Roots, db: None) -> Roots:
    """Shipped and serving: a type model, readers for `dark` ("2KXQE") and `bright` sums, a general reader."""
    write_types(roots.shipped)
    write_reader(roots.shipped, "dark", case_sensitive=False)
    write_reader(roots.shipped, "bright", text="33+2=?", arithmetic=True)
    write_reader(roots.shipped, "general", text="GENERAL")
    install_shipped_models()
    return roots


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owner(db: None) -> Any:
    return get_user_model().objects.create_user("owner", "owner@example.org", "a password of theirs")


@pytest.fixture
def outsider(db: None) -> Any:
    return get_user_model().objects.create_user("outsider", "outsider@example.org", "another password")


@pytest.fixture
def private_reader(shipped: Roots, owner: Any) -> ModelVersion:
    """A serving reader of a type that belongs to `owner`; it writes "SECRET"."""
    CaptchaType.objects.create(slug="mine", title="Mine", alphabet="SECRT", owner=owner)
    version = register_version(folder=write_reader(shipped.trained, "mine", text="SECRET"))
    ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.SERVING)
    return version
