"""Registering, promoting and rolling back."""

from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from ml import services
from ml.models import CaptchaType, ModelVersion, Promotion
from ml.recognition.artifacts import write_checksums
from ml.services import (
    CannotPromote,
    CannotRegister,
    NothingToRollBack,
    install_shipped_models,
    next_version,
    promote,
    register_version,
    roll_back,
)
from ml.tests.artifacts import write_reader, write_types
from ml.tests.conftest import Roots, better


def serving(slug: str) -> int | None:
    versions = ModelVersion.objects.filter(slug=slug, state=ModelVersion.State.SERVING)
    return versions.values_list("version", flat=True).first()


class TestInstall:
    def test_everything_shipped_serves(self, shipped: Roots) -> None:
        assert {slug: serving(slug) for slug in ("types", "dark", "bright", "general")} == {
            "types": 1,
            "dark": 1,
            "bright": 1,
            "general": 1,
        }

    def test_a_type_is_made_from_its_readers_spec(self, roots: Roots, db: None) -> None:
        write_reader(roots.shipped, "dark", min_length=5, max_length=5, case_sensitive=False)
        install_shipped_models()
        made = CaptchaType.objects.get()
        assert (made.slug, made.owner, made.min_length, made.max_length) == ("dark", None, 5, 5)
        assert not made.case_sensitive
        assert "Z" in made.alphabet

    def test_running_again_changes_nothing(self, shipped: Roots) -> None:
        before = list(ModelVersion.objects.order_by("pk").values())
        report = install_shipped_models()
        assert not report.registered
        assert not report.promoted
        assert list(ModelVersion.objects.order_by("pk").values()) == before
        assert Promotion.objects.count() == 4

    def test_running_again_on_unchanged_files_asks_little_of_the_database(self, shipped: Roots) -> None:
        with CaptureQueriesContext(connection) as queries:
            install_shipped_models()
        assert not [q for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]

    def test_an_upgrade_serves_the_new_version(self, shipped: Roots) -> None:
        write_reader(shipped.shipped, "dark", 2, text="NEW")
        assert [str(v) for v in install_shipped_models().promoted] == ["dark/2"]
        assert serving("dark") == 2

    def test_an_upgrade_leaves_a_model_trained_here_at_work(self, shipped: Roots) -> None:
        promote(version=better(write_reader(shipped.trained, "dark", 1001)), reason="ours")
        write_reader(shipped.shipped, "dark", 2)
        assert not install_shipped_models().promoted
        assert serving("dark") == 1001
        assert ModelVersion.objects.get(slug="dark", version=2).state == ModelVersion.State.CANDIDATE

    def test_a_roll_back_outlasts_the_next_start(self, shipped: Roots) -> None:
        write_reader(shipped.shipped, "dark", 2)
        install_shipped_models()
        roll_back(slug="dark", reason="worse")
        install_shipped_models()
        assert serving("dark") == 1

    def test_a_rebuilt_shipped_model_is_registered_again(self, shipped: Roots) -> None:
        before = ModelVersion.objects.get(slug="dark")
        write_reader(shipped.shipped, "dark", text="REBUILT")
        assert [str(v) for v in install_shipped_models().registered] == ["dark/1"]
        after = ModelVersion.objects.get(slug="dark")
        assert after.sha256 != before.sha256
        assert after.registered_at > before.registered_at
        assert after.state == ModelVersion.State.SERVING

    def test_a_damaged_folder_is_reported_and_the_others_installed(self, roots: Roots, db: None) -> None:
        write_reader(roots.shipped, "bright")
        (write_reader(roots.shipped, "dark") / "reader.onnx").write_bytes(b"damaged")
        report = install_shipped_models()
        assert len(report.errors) == 1
        assert "dark/1" in report.errors[0]
        assert (serving("bright"), serving("dark")) == (1, None)


class TestRegister:
    def test_a_new_version_is_a_candidate(self, shipped: Roots) -> None:
        version = register_version(folder=write_reader(shipped.trained, "dark", 1001))
        assert version.state == ModelVersion.State.CANDIDATE
        assert version.origin == ModelVersion.Origin.TRAINED
        assert serving("dark") == 1

    def test_twice_is_once(self, shipped: Roots) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        assert register_version(folder=folder) == register_version(folder=folder)

    def test_a_trained_version_never_changes(self, shipped: Roots) -> None:
        register_version(folder=write_reader(shipped.trained, "dark", 1001))
        with pytest.raises(CannotRegister, match="not the ones that were registered"):
            register_version(folder=write_reader(shipped.trained, "dark", 1001, text="OTHER"))

    def test_a_folder_elsewhere_is_refused(self, shipped: Roots, tmp_path: Path) -> None:
        with pytest.raises(CannotRegister, match="below neither"):
            register_version(folder=write_reader(tmp_path / "elsewhere", "dark", 1001))

    def test_a_link_out_of_the_root_is_refused(self, shipped: Roots, tmp_path: Path) -> None:
        folder = write_reader(tmp_path / "elsewhere", "dark", 1001)
        (shipped.trained / "dark").mkdir()
        (shipped.trained / "dark" / "1001").symlink_to(folder)
        with pytest.raises(CannotRegister, match="below neither"):
            register_version(folder=shipped.trained / "dark" / "1001")

    def test_a_folder_under_another_name_is_refused(self, shipped: Roots) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        with pytest.raises(CannotRegister, match="spec is of dark/1001"):
            register_version(folder=folder.rename(folder.with_name("1002")))

    def test_a_folder_without_its_model_is_refused(self, shipped: Roots) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        (folder / "reader.onnx").unlink()
        write_checksums(folder)
        with pytest.raises(CannotRegister, match=r"no reader\.onnx"):
            register_version(folder=folder)

    def test_the_other_origins_number_is_refused(self, shipped: Roots) -> None:
        with pytest.raises(CannotRegister, match="shipped with the program"):
            register_version(folder=write_reader(shipped.trained, "dark", 1, text="OTHER"))

    def test_numbers_of_models_trained_here_never_meet_shipped_ones(self, shipped: Roots) -> None:
        assert next_version("dark") == 1001
        assert next_version("new_type") == 1
        register_version(folder=write_reader(shipped.trained, "dark", 1001))
        (shipped.trained / "dark" / "1002").mkdir()  # a training run that has not finished
        assert next_version("dark") == 1003


class TestPromote:
    def test_the_one_before_retires(self, shipped: Roots, owner: Any) -> None:
        version = better(write_reader(shipped.trained, "dark", 1001))
        promote(version=version, by=owner, reason="better")
        assert serving("dark") == 1001
        old = ModelVersion.objects.get(slug="dark", version=1)
        assert old.state == ModelVersion.State.RETIRED
        entry = Promotion.objects.first()
        assert entry is not None
        assert (entry.version, entry.replaced, entry.by, entry.reason) == (version, old, owner, "better")
        version.refresh_from_db()
        assert version.promoted_by == owner
        assert version.promoted_at is not None

    def test_a_new_types_reader_brings_its_type_model(self, shipped: Roots) -> None:
        types = write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        better(types)
        reader = register_version(folder=write_reader(shipped.trained, "third"))
        promoted = promote(version=reader, reason="new type")
        assert [str(v) for v in promoted] == ["third/1", "types/1001"]
        assert (serving("third"), serving("types")) == (1, 1001)

    def test_a_type_model_brings_the_readers_of_its_new_types(self, shipped: Roots) -> None:
        register_version(folder=write_reader(shipped.trained, "third"))
        folder = write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        promote(version=better(folder), reason="new type")
        assert (serving("third"), serving("types")) == (1, 1001)

    def test_both_are_promoted_or_neither(self, shipped: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
        types = write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        better(types)
        reader = register_version(folder=write_reader(shipped.trained, "third"))
        create = Promotion.objects.create

        def fail_at_the_second(**fields: Any) -> Promotion:
            if fields["version"].slug == "types":
                raise RuntimeError("the machine stops here")
            return create(**fields)

        monkeypatch.setattr(Promotion.objects, "create", fail_at_the_second)
        with pytest.raises(RuntimeError):
            promote(version=reader, reason="new type")
        assert (serving("third"), serving("types")) == (None, 1)

    def test_a_companion_that_does_not_load_stops_both(self, shipped: Roots) -> None:
        folder = write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        register_version(folder=folder)
        (folder / "types.onnx").write_bytes(b"damaged")
        reader = register_version(folder=write_reader(shipped.trained, "third"))
        with pytest.raises(CannotPromote) as refused:
            promote(version=reader, reason="new type", force=True)
        assert not refused.value.forceable
        assert (serving("third"), serving("types")) == (None, 1)

    def test_that_no_type_model_knows_a_type_is_noted(self, shipped: Roots) -> None:
        reader = register_version(folder=write_reader(shipped.trained, "third"))
        promote(version=reader, reason="new type")
        assert serving("third") == 1
        entry = Promotion.objects.get(version=reader)
        assert not entry.forced
        assert "note: no type model knows third" in entry.grounds

    def test_a_new_type_whose_reader_was_never_measured_needs_force(self, shipped: Roots) -> None:
        reader = register_version(folder=write_reader(shipped.trained, "third", metrics={}))
        with pytest.raises(CannotPromote, match="third/1 was never evaluated") as refused:
            promote(version=reader, reason="new type")
        assert refused.value.forceable
        promote(version=reader, reason="new type", force=True)
        assert serving("third") == 1
        assert Promotion.objects.get(version=reader).forced

    def test_a_private_type_needs_no_type_model(self, shipped: Roots, owner: Any) -> None:
        CaptchaType.objects.create(slug="mine", title="Mine", alphabet="ABC", owner=owner)
        promote(version=register_version(folder=write_reader(shipped.trained, "mine")), reason="mine")
        assert serving("mine") == 1

    def test_a_type_model_that_forgets_a_serving_type_needs_force(self, shipped: Roots) -> None:
        types = better(write_types(shipped.trained, 1001, labels=("dark", "third", "other")))
        with pytest.raises(CannotPromote) as refused:
            promote(version=types, reason="other types")
        assert refused.value.problems == [
            "there is no reader for third, which it knows",
            "it does not know bright, whose reader serves",
        ]

    def test_damaged_files_are_never_promoted(self, shipped: Roots) -> None:
        folder = write_reader(shipped.trained, "dark", 1001)
        version = register_version(folder=folder)
        (folder / "reader.onnx").write_bytes(b"damaged")
        with pytest.raises(CannotPromote):
            promote(version=version, reason="hope", force=True)
        assert serving("dark") == 1

    def test_what_serves_may_be_promoted_again(self, shipped: Roots) -> None:
        version = ModelVersion.objects.get(slug="dark")
        promote(version=version, reason="again")
        assert serving("dark") == 1
        assert Promotion.objects.filter(version=version).count() == 1

    def test_the_database_allows_one_serving_version(self, shipped: Roots) -> None:
        version = register_version(folder=write_reader(shipped.trained, "dark", 1001))
        with pytest.raises(IntegrityError), transaction.atomic():
            ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.SERVING)


class TestRollBack:
    def test_step_by_step_to_the_first(self, shipped: Roots) -> None:
        for number in (1001, 1002):
            promote(version=better(write_reader(shipped.trained, "dark", number)), reason="new")
        assert roll_back(slug="dark", reason="worse").version == 1001
        assert roll_back(slug="dark", reason="worse too").version == 1
        with pytest.raises(NothingToRollBack):
            roll_back(slug="dark", reason="further")
        assert serving("dark") == 1

    def test_a_version_whose_files_broke_is_not_brought_back(self, shipped: Roots) -> None:
        promote(version=better(write_reader(shipped.trained, "dark", 1001)), reason="new")
        (shipped.shipped / "dark" / "1" / "reader.onnx").unlink()
        with pytest.raises(CannotPromote):
            roll_back(slug="dark", reason="worse")
        assert serving("dark") == 1001

    def test_an_unknown_slug(self, db: None) -> None:
        with pytest.raises(NothingToRollBack):
            roll_back(slug="nothing", reason="worse")


def test_reserved_names_are_no_types(db: None) -> None:
    for slug in ("types", "general", "other"):
        with pytest.raises(IntegrityError), transaction.atomic():
            CaptchaType.objects.create(slug=slug, title="x", alphabet="x")


def test_deleting_a_user_deletes_their_types_and_leaves_nothing_public(
    private_reader: ModelVersion, owner: Any
) -> None:
    owner.delete()
    assert not CaptchaType.objects.filter(slug="mine").exists()
    assert not ModelVersion.objects.filter(slug="mine").exists()


def test_deleting_a_user_keeps_the_promotions_they_made(shipped: Roots, owner: Any) -> None:
    version = better(write_reader(shipped.trained, "dark", 1001))
    services.promote(version=version, by=owner, reason="better")
    owner.delete()
    entry = Promotion.objects.get(version=version)
    assert (entry.by, entry.reason) == (None, "better")
    assert serving("dark") == 1001
