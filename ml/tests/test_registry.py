"""What a process reads with follows the registry: hot reload, damaged files, private types."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.recognition.pipeline import Unsolvable
from ml.services import promote, register_version
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Clock, Roots

DARK, MIDDLE, BRIGHT = picture(0), picture(128), picture(255)


def read(image: bytes, user_id: int | None = None, captcha_type: str | None = None) -> str:
    return registry.recognizer(user_id).recognize(image, captcha_type=captcha_type).text


def promoted(folder: Path) -> ModelVersion:
    version = register_version(folder=folder)
    promote(version=version, reason="a test", force=True)
    return version


@pytest.fixture
def own_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Clock:
    """This process's registry, on a clock that the test moves."""
    monkeypatch.setattr(registry, "_registry", registry.Registry(clock))
    return clock


def test_type_decides_the_reader(shipped: Roots) -> None:
    assert (read(DARK), read(BRIGHT), read(MIDDLE)) == ("2KXQE", "33+2=?", "GENERAL")


def test_model_version_is_named_with_the_answer(shipped: Roots) -> None:
    assert registry.recognizer().recognize(DARK).model_version == "dark/1"


def test_promotion_is_noticed_within_a_second(shipped: Roots, own_clock: Clock) -> None:
    assert read(DARK) == "2KXQE"
    promoted(write_reader(shipped.trained, "dark", 1001, text="NEW"))

    own_clock.now += registry.CHECK_SECONDS * 0.9
    assert read(DARK) == "2KXQE"
    own_clock.now += registry.CHECK_SECONDS * 0.2
    assert read(DARK) == "NEW"


def test_at_most_one_query_a_second_and_none_between(shipped: Roots, own_clock: Clock) -> None:
    read(DARK)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            read(DARK)
    assert len(queries) == 0
    own_clock.now += registry.CHECK_SECONDS
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            read(DARK)
    assert len(queries) == 1


def test_unchanged_models_stay_open_across_a_reload(shipped: Roots, own_clock: Clock) -> None:
    before = registry.recognizer().readers["bright"]
    promoted(write_reader(shipped.trained, "dark", 1001, text="NEW"))
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK) == "NEW"
    assert registry.recognizer().readers["bright"] is before


@pytest.mark.django_db(transaction=True)
def test_another_thread_notices_a_promotion(roots: Roots) -> None:
    promoted(write_reader(roots.trained, "dark", text="OLD"))
    done, told = threading.Event(), threading.Event()
    seen: list[str] = []

    def work() -> None:
        try:
            seen.append(read(DARK, captcha_type="dark"))
            told.set()
            done.wait(30)
            registry._registry._next_check = 0.0
            seen.append(read(DARK, captcha_type="dark"))
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert told.wait(30)
    promoted(write_reader(roots.trained, "dark", 2, text="NEW"))
    done.set()
    thread.join(30)
    assert seen == ["OLD", "NEW"]


@pytest.mark.django_db(transaction=True)
def test_many_threads_open_each_model_once(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    promoted(write_reader(roots.trained, "dark", text="ONCE"))
    registry.reset()
    opened: list[str] = []
    open_model = registry.open_model

    def open_and_note(row: registry.ServingVersion) -> object:
        opened.append(str(row))
        return open_model(row)

    monkeypatch.setattr(registry, "open_model", open_and_note)
    barrier = threading.Barrier(8)
    seen: list[str] = []

    def work() -> None:
        try:
            barrier.wait(30)
            seen.append(read(DARK, captcha_type="dark"))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == ["ONCE"] * 8
    assert opened == ["dark/1"]


@pytest.mark.django_db(transaction=True)
def test_a_forked_process_opens_its_own_sessions_and_notices_a_promotion(roots: Roots) -> None:
    promoted(write_reader(roots.trained, "dark", text="OLD"))
    parents = registry.recognizer().readers["dark"]
    connection.close()  # a connection is not shared across a fork
    to_parent, to_child = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(to_child[1])
            own = registry.recognizer().readers["dark"] is not parents
            os.write(to_parent[1], f"{own} {read(DARK, captcha_type='dark')} ".encode())
            os.read(to_child[0], 1)
            registry._registry._next_check = 0.0  # a second has passed
            os.write(to_parent[1], read(DARK, captcha_type="dark").encode())
        finally:
            os._exit(0)
    os.close(to_parent[1])
    with os.fdopen(to_parent[0], "rb", buffering=0) as answers:
        assert answers.read(100) == b"True OLD "
        promoted(write_reader(roots.trained, "dark", 2, text="NEW"))
        os.write(to_child[1], b".")
        assert answers.read(100) == b"NEW"
    os.waitpid(pid, 0)


def damage(folder: Path) -> None:
    file = next(folder.glob("*.onnx"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))


def serve_unchecked(version: ModelVersion) -> None:
    """Let a version serve although its files are bad, as when they break after the promotion."""
    serving = ModelVersion.objects.filter(slug=version.slug, state=ModelVersion.State.SERVING)
    serving.update(state=ModelVersion.State.RETIRED)
    ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.SERVING)


def test_a_damaged_version_leaves_the_old_one_serving(
    shipped: Roots, own_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(DARK) == "2KXQE"
    version = register_version(folder=write_reader(shipped.trained, "dark", 1001, text="BAD"))
    damage(version.path)
    serve_unchecked(version)
    own_clock.now += registry.CHECK_SECONDS

    assert read(DARK) == "2KXQE"
    version.refresh_from_db()
    assert "dark/1001 cannot be loaded" in version.load_error
    assert "dark/1001" in caplog.text
    assert registry.ready()
    assert registry.ready().problems == [version.load_error]


def test_a_new_process_beside_a_damaged_version_takes_the_one_before(shipped: Roots, clock: Clock) -> None:
    version = register_version(folder=write_reader(shipped.trained, "dark", 1001, text="BAD"))
    damage(version.path)
    serve_unchecked(version)
    assert read(DARK) == "2KXQE"
    assert registry.recognizer().recognize(DARK).model_version == "dark/1"


def test_a_missing_folder_leaves_the_other_readers_serving(shipped: Roots) -> None:
    (shipped.shipped / "dark" / "1" / "reader.onnx").unlink()
    assert read(BRIGHT) == "33+2=?"
    assert ModelVersion.objects.get(slug="dark").load_error
    assert registry.ready()


def test_a_repaired_version_is_taken_up_again_and_its_error_cleared(shipped: Roots, own_clock: Clock) -> None:
    read(DARK)
    folder = write_reader(shipped.trained, "dark", 1001, text="LATE")
    version = register_version(folder=folder)
    damage(folder)
    serve_unchecked(version)
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK) == "2KXQE"

    write_reader(shipped.trained, "dark", 1001, text="LATE")
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK) == "2KXQE"  # not tried again at every check
    own_clock.now += registry.RETRY_SECONDS
    assert read(DARK) == "LATE"
    version.refresh_from_db()
    assert version.load_error == ""


def test_a_file_that_is_not_the_registered_one_never_loads(shipped: Roots, own_clock: Clock) -> None:
    version = register_version(folder=write_reader(shipped.trained, "dark", 1001, text="HONEST"))
    write_reader(shipped.trained, "dark", 1001, text="FORGED")  # with checksums of its own that fit
    serve_unchecked(version)
    assert read(DARK) == "2KXQE"
    version.refresh_from_db()
    assert version.load_error
    with pytest.raises(registry.ArtifactError):
        registry.open_model(version)


def test_a_folder_of_another_version_never_loads(shipped: Roots) -> None:
    version = register_version(folder=write_reader(shipped.trained, "dark", 1001))
    ModelVersion.objects.filter(pk=version.pk).update(version=1002)
    version.refresh_from_db()
    with pytest.raises(registry.ArtifactError, match="dark/1001"):
        registry.open_model(version)


def test_type_model_waits_for_a_reader_that_does_not_load(shipped: Roots, own_clock: Clock) -> None:
    read(DARK)
    reader = register_version(folder=write_reader(shipped.trained, "third", text="THIRD"))
    types = register_version(folder=write_types(shipped.trained, 1001, labels=("third", "bright", "other")))
    damage(reader.path)
    serve_unchecked(reader)
    serve_unchecked(types)
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK) == "2KXQE"
    types.refresh_from_db()
    assert "third" in types.load_error


def test_an_inactive_type_is_not_read(shipped: Roots) -> None:
    CaptchaType.objects.filter(slug="dark").update(active=False)
    with pytest.raises(Unsolvable):
        read(DARK, captcha_type="dark")
    assert "dark" not in [t.slug for t in registry.available_types()]


def test_nothing_registered_is_not_ready(roots: Roots, db: None) -> None:
    assert not registry.ready()
    assert "install_models" in registry.ready().problems[0]


def test_owner_reads_a_private_type(private_reader: ModelVersion, owner: Any) -> None:
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "SECRET"
    mine = next(t for t in registry.available_types(owner.pk) if t.slug == "mine")
    assert mine.private
    assert mine.model_version == "mine/1"


def test_outsiders_neither_see_nor_use_a_private_type(private_reader: ModelVersion, outsider: Any) -> None:
    for user_id in (None, outsider.pk):
        assert "mine" not in [t.slug for t in registry.available_types(user_id)]
        with pytest.raises(Unsolvable) as unknown:
            read(DARK, user_id=user_id, captcha_type="no_such_type")
        with pytest.raises(Unsolvable) as hidden:
            read(DARK, user_id=user_id, captcha_type="mine")
        assert (hidden.value.code, str(hidden.value)) == (unknown.value.code, str(unknown.value))


def test_a_type_model_that_knows_a_private_type_tells_outsiders_nothing(
    private_reader: ModelVersion, shipped: Roots, owner: Any, outsider: Any
) -> None:
    promoted(write_types(shipped.trained, 1001, labels=("mine", "bright", "other")))
    assert read(DARK, user_id=owner.pk) == "SECRET"
    recognition = registry.recognizer(outsider.pk).recognize(DARK)
    assert (recognition.text, recognition.captcha_type) == ("GENERAL", "general")


def test_a_type_that_changes_hands_is_noticed(
    private_reader: ModelVersion, own_clock: Clock, owner: Any, outsider: Any
) -> None:
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "SECRET"
    CaptchaType.objects.filter(slug="mine").update(owner=outsider)
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK, user_id=outsider.pk, captcha_type="mine") == "SECRET"
    with pytest.raises(Unsolvable):
        read(DARK, user_id=owner.pk, captcha_type="mine")


def test_a_private_reader_is_opened_when_its_owner_first_asks(
    private_reader: ModelVersion, own_clock: Clock, owner: Any, outsider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_model = registry.open_model

    def open_and_note(row: registry.ServingVersion) -> object:
        opened.append(row.slug)
        return open_model(row)

    monkeypatch.setattr(registry, "open_model", open_and_note)
    read(DARK, user_id=outsider.pk)
    read(DARK, user_id=owner.pk)
    assert "mine" not in opened
    for _ in range(3):
        assert read(DARK, user_id=owner.pk, captcha_type="mine") == "SECRET"
    assert opened.count("mine") == 1
    assert registry.loaded_versions()["mine"] == private_reader.pk


def test_a_promotion_reaches_an_open_private_reader(
    private_reader: ModelVersion, shipped: Roots, own_clock: Clock, owner: Any
) -> None:
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "SECRET"
    promoted(write_reader(shipped.trained, "mine", 2, text="BETTER"))
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "BETTER"


@pytest.mark.parametrize("open_before", [True, False])
def test_a_private_version_that_does_not_load_leaves_the_one_before_at_work(
    private_reader: ModelVersion, shipped: Roots, own_clock: Clock, owner: Any, open_before: bool
) -> None:
    ModelVersion.objects.filter(pk=private_reader.pk).update(promoted_at=timezone.now())
    if open_before:
        read(DARK, user_id=owner.pk, captcha_type="mine")
    version = promoted(write_reader(shipped.trained, "mine", 2, text="BETTER"))
    damage(version.path)
    own_clock.now += registry.CHECK_SECONDS
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "SECRET"
    version.refresh_from_db()
    assert version.load_error
    assert registry.ready().problems == ["a model of a private type cannot be loaded"]
    write_reader(shipped.trained, "mine", 2, text="BETTER")  # its files are repaired
    own_clock.now += registry.RETRY_SECONDS + 1
    assert read(DARK, user_id=owner.pk, captcha_type="mine") == "BETTER"
    version.refresh_from_db()
    assert not version.load_error
    assert not registry.ready().problems


def test_a_private_reader_that_never_loaded_is_none(
    private_reader: ModelVersion, own_clock: Clock, owner: Any
) -> None:
    damage(private_reader.path)
    with pytest.raises(Unsolvable) as refused:
        read(DARK, user_id=owner.pk, captcha_type="mine")
    assert refused.value.code == "no_reader"
    assert read(DARK, user_id=owner.pk) == "2KXQE"


def test_no_more_private_readers_stay_open_than_the_setting_allows(
    private_reader: ModelVersion, shipped: Roots, own_clock: Clock, owner: Any, settings: Any
) -> None:
    settings.PRIVATE_READERS = 2
    for slug in ("yours", "theirs"):
        CaptchaType.objects.create(slug=slug, title=slug, owner=owner)
        promoted(write_reader(shipped.trained, slug, text=slug.upper()))
    for slug, text in (("mine", "SECRET"), ("yours", "YOURS"), ("mine", "SECRET"), ("theirs", "THEIRS")):
        assert read(DARK, user_id=owner.pk, captcha_type=slug) == text
    assert {"mine", "yours", "theirs"} & set(registry.loaded_versions()) == {"mine", "theirs"}
    assert read(DARK, user_id=owner.pk, captcha_type="yours") == "YOURS"


def test_a_type_that_is_gone_is_closed(private_reader: ModelVersion, own_clock: Clock, owner: Any) -> None:
    read(DARK, user_id=owner.pk, captcha_type="mine")
    CaptchaType.objects.filter(slug="mine").update(active=False)
    own_clock.now += registry.CHECK_SECONDS
    read(DARK)
    assert "mine" not in registry.loaded_versions()


def test_available_types_state_accuracy_with_its_interval(shipped: Roots) -> None:
    dark = next(t for t in registry.available_types() if t.slug == "dark")
    assert dark.accuracy is not None
    assert dark.accuracy.n == 200
    assert dark.accuracy.low < dark.accuracy.exact_match < dark.accuracy.high
