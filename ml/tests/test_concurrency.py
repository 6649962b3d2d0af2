"""Several processes that register and promote at once, here threads with a connection each."""

import threading
from collections.abc import Callable, Sequence

import pytest
from django.db import connection

from ml import registry
from ml.models import ModelVersion, Promotion
from ml.services import CannotPromote, install_shipped_models, promote, roll_back
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Roots, better

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(tasks: Sequence[Callable[[], object]]) -> list[BaseException]:
    """Run the tasks in threads that begin together; the exceptions they ended with."""
    barrier = threading.Barrier(len(tasks))
    errors: list[BaseException] = []

    def work(task: Callable[[], object]) -> None:
        try:
            barrier.wait(30)
            task()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_replicas_that_start_together_install_once(roots: Roots) -> None:
    write_types(roots.shipped)
    for slug in ("dark", "bright", "general"):
        write_reader(roots.shipped, slug)
    assert at_once([install_shipped_models] * 4) == []
    assert sorted(map(str, ModelVersion.objects.filter(state="serving"))) == [
        "bright/1",
        "dark/1",
        "general/1",
        "types/1",
    ]
    assert Promotion.objects.count() == 4


def test_of_promotions_at_the_same_moment_one_serves_and_none_is_lost_silently(roots: Roots) -> None:
    write_types(roots.shipped, labels=("dark", "other"))
    write_reader(roots.shipped, "dark")
    install_shipped_models()
    versions = [better(write_reader(roots.trained, "dark", number)) for number in range(1001, 1005)]

    def promoting(version: ModelVersion) -> Callable[[], object]:
        return lambda: promote(
            version=version, reason="at once", force=True
        )  # the others' figures are of dark/1

    errors = at_once([promoting(version) for version in versions])
    assert all(isinstance(error, CannotPromote) for error in errors)
    assert ModelVersion.objects.filter(slug="dark", state="serving").count() == 1
    # Every promotion that did not complain happened, one after the other.
    log = Promotion.objects.filter(version__in=versions)
    assert log.count() == len(versions) - len(errors)
    retired = ModelVersion.objects.filter(slug="dark", state="retired").count()
    assert retired == len(versions) - len(errors)


def test_no_read_fails_while_versions_come_and_go(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    write_types(roots.shipped, labels=("dark", "bright", "other"))
    write_reader(roots.shipped, "dark", text="OLD")
    install_shipped_models()
    version = better(write_reader(roots.trained, "dark", 1001, text="NEW"))
    monkeypatch.setattr(registry, "CHECK_SECONDS", 0.0)
    done = threading.Event()
    seen: list[tuple[str, str]] = []
    image = picture(0)

    def solving() -> None:
        while not done.is_set():
            recognition = registry.recognizer().recognize(image, captcha_type="dark")
            seen.append((recognition.model_version, recognition.text))

    def switching() -> None:
        try:
            for _ in range(10):
                promote(version=version, reason="new")
                roll_back(slug="dark", reason="worse")
        finally:
            done.set()

    assert at_once([solving] * 4 + [switching]) == []
    # Each answer is of one version from beginning to end.
    assert set(seen) == {("dark/1", "OLD"), ("dark/1001", "NEW")}
    assert Promotion.objects.filter(version__slug="dark").count() == 21
