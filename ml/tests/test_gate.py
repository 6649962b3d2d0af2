"""A version takes another's place on figures: both evaluated on the same unseen images, and it did better."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from ml.comparison import evaluate_together
from ml.gate import judge
from ml.models import Evaluation, ModelVersion, Promotion
from ml.recognition.artifacts import write_checksums
from ml.recognition.datasets import hash_bytes, load_folder
from ml.services import CannotPromote, install_shipped_models, promote, register_version
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Roots, better, evaluated


@pytest.fixture
def serving(shipped: Roots) -> ModelVersion:
    return ModelVersion.objects.get(slug="dark", version=1)


@pytest.fixture
def candidate(shipped: Roots) -> ModelVersion:
    return register_version(folder=write_reader(shipped.trained, "dark", 1001))


def images(folder: Path, *names: str, brightness: int = 0) -> Path:
    """A folder of distinct dark pictures with these names."""
    folder.mkdir()
    for index, name in enumerate(names):
        (folder / name).write_bytes(picture(brightness + index))
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command(*words)
    return capsys.readouterr().out


class TestVerdict:
    def test_without_a_common_data_set_it_says_what_to_type(
        self, serving: ModelVersion, candidate: ModelVersion
    ) -> None:
        evaluated(serving, 90, data="a" * 64)
        evaluated(candidate, 99, data="b" * 64)
        verdict = judge(candidate, serving)
        assert not verdict.passed
        assert "manage.py evaluate dark --version 1001 --images DIR" in verdict.line

    @pytest.mark.parametrize(
        ("right", "ece", "passed", "line"),
        [
            (91, 0.5, True, "dark/1001 reads 91.00 % (91 of 100"),
            (89, 0.0, False, "fewer right answers"),
            (90, 0.01, True, "as many right answers and no worse a calibration"),
            (90, 0.02, False, "a worse calibration (its error is 0.01 higher)"),
            (90, 0.0100123, False, "a worse calibration (its error is 0.000012 higher)"),
        ],
    )
    def test_more_right_answers_win_and_calibration_breaks_a_tie(
        self,
        serving: ModelVersion,
        candidate: ModelVersion,
        right: int,
        ece: float,
        passed: bool,
        line: str,
    ) -> None:
        evaluated(serving, 90, ece=0.01)
        evaluated(candidate, right, ece=ece)
        verdict = judge(candidate, serving)
        assert verdict.passed is passed
        assert line in verdict.line
        assert "dark/1 reads 90.00 % (90 of 100, 95 % interval 82.56 to 94.48)" in verdict.line

    def test_of_several_data_sets_the_newest_decides(
        self, serving: ModelVersion, candidate: ModelVersion
    ) -> None:
        for right, data in ((95, "a" * 64), (85, "b" * 64)):
            evaluated(serving, 90, data=data)
            evaluated(candidate, right, data=data)
        assert not judge(candidate, serving).passed

    def test_a_first_version_needs_to_have_been_measured(self, shipped: Roots) -> None:
        measured = register_version(folder=write_reader(shipped.trained, "third"))
        assert judge(measured, None).passed
        unmeasured = register_version(folder=write_reader(shipped.trained, "fourth", metrics={}))
        assert "manage.py evaluate fourth" in judge(unmeasured, None).line
        validated = {"validation": {"exact_match": {"correct": 9, "n": 10}}}
        selected = register_version(folder=write_reader(shipped.trained, "fifth", metrics=validated))
        assert not judge(selected, None).passed
        assert judge(evaluated(unmeasured, 9, n=10), None).passed

    def test_a_shipped_first_version_needs_nothing(self, roots: Roots, db: None) -> None:
        write_reader(roots.shipped, "dark", metrics={})
        assert [str(v) for v in install_shipped_models().promoted] == ["dark/1"]
        version = ModelVersion.objects.get()
        ModelVersion.objects.update(state=ModelVersion.State.CANDIDATE)
        assert judge(version, None).passed


class TestPromote:
    def test_the_log_keeps_the_figures(self, shipped: Roots) -> None:
        version = better(write_reader(shipped.trained, "dark", 1001))
        promote(version=version, reason="better")
        entry = Promotion.objects.get(version=version)
        assert not entry.forced
        assert "91 of 100" in entry.grounds
        assert "dark/1 reads 90.00 %" in entry.grounds

    def test_force_is_kept_with_its_reason_and_what_it_overruled(
        self, candidate: ModelVersion, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(CommandError, match=r"not evaluated on one data set.*--force --reason"):
            call_command("promote", "dark", "1001")
        with pytest.raises(CommandError, match="--force needs a --reason"):
            call_command("promote", "dark", "1001", "--force")
        out = run(capsys, "promote", "dark", "1001", "--force", "--reason", "the old one is broken")
        assert "overruled: dark/1001 and dark/1, which serves, were not evaluated" in out
        entry = Promotion.objects.get(version=candidate)
        assert (entry.forced, entry.reason) == (True, "the old one is broken")
        assert "overruled" in entry.grounds

    def test_a_force_without_a_reason_is_refused_by_the_service_too(self, candidate: ModelVersion) -> None:
        with pytest.raises(CannotPromote, match="force needs a reason"):
            promote(version=candidate, reason=" ", force=True)

    def test_the_type_model_that_comes_along_must_be_better_too(self, shipped: Roots) -> None:
        register_version(
            folder=write_types(shipped.trained, 1001, labels=("dark", "bright", "third", "other"))
        )
        reader = register_version(folder=write_reader(shipped.trained, "third"))
        with pytest.raises(CannotPromote, match="types/1001 and types/1, which serves"):
            promote(version=reader, reason="new type")
        assert not ModelVersion.objects.filter(slug="third", state="serving").exists()


class TestEvaluate:
    def test_candidate_and_serving_version_are_stored_on_one_data_set(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        register_version(folder=write_reader(shipped.trained, "dark", 1001, text="NEW", case_sensitive=False))
        folder = images(tmp_path / "new", "NEW.png", "new__2.png", "2KXQE.png")
        out = run(capsys, "evaluate", "dark", "--version", "1001", "--images", str(folder))
        assert "dark/1001 2 of 3, dark/1 1 of 3" in out
        assert "it may be promoted" in out
        new, old = Evaluation.objects.order_by("-version__version")
        assert (new.n, new.right, old.n, old.right) == (3, 2, 3, 1)
        assert (new.dataset_hash, new.split) == (old.dataset_hash, "unseen")
        assert re.fullmatch("[0-9a-f]{64}", new.dataset_hash)
        assert new.ece == pytest.approx(1 / 3, abs=1e-3)
        assert new.made_by == "manage.py evaluate"
        call_command("promote", "dark", "1001")

    def test_again_replaces_the_row(
        self, serving: ModelVersion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = images(tmp_path / "one", "2KXQE.png")
        for _ in range(2):
            run(capsys, "evaluate", "dark", "--images", str(folder))
        assert Evaluation.objects.count() == 1
        (folder / "2KXQE.png").rename(folder / "WRONG.png")  # another label is another data set
        run(capsys, "evaluate", "dark", "--images", str(folder))
        assert sorted(Evaluation.objects.values_list("right", flat=True)) == [0, 1]

    def test_images_that_either_has_seen_are_left_out(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = images(tmp_path / "few", "2KXQE__1.png", "2KXQE__2.png", "2KXQE__3.png")
        for file, root, number in (
            ("2KXQE__1.png", shipped.shipped, 1),
            ("2KXQE__2.png", shipped.trained, 1001),
        ):
            artifact = write_reader(root, "dark", number, case_sensitive=False)
            (artifact / "trained_on.txt").write_text(hash_bytes((folder / file).read_bytes()) + "\n")
            write_checksums(artifact)
        install_shipped_models()
        register_version(folder=shipped.trained / "dark" / "1001")
        out = run(capsys, "evaluate", "dark", "--version", "1001", "--images", str(folder))
        assert "1 images; 2 left out, it or dark/1 was trained on them" in out
        assert set(Evaluation.objects.values_list("n", flat=True)) == {1}

    def test_nothing_is_stored_with_hints_nor_without_images_nor_on_request(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = images(tmp_path / "one", "2KXQE.png")
        for words in (["--hints"], ["--no-save"]):
            run(capsys, "evaluate", "dark", "--images", str(folder), *words)
        artifact = write_reader(shipped.trained, "dark", 1001)
        (artifact / "trained_on.txt").write_text(hash_bytes((folder / "2KXQE.png").read_bytes()))
        write_checksums(artifact)
        register_version(folder=artifact)
        out = run(capsys, "evaluate", "dark", "--version", "1001", "--images", str(folder))
        assert "No image is left" in out
        assert not Evaluation.objects.exists()

    def test_a_serving_version_that_does_not_load_leaves_the_candidate_alone(
        self, serving: ModelVersion, candidate: ModelVersion, tmp_path: Path, capsys: Any
    ) -> None:
        (serving.path / "reader.onnx").unlink()
        folder = images(tmp_path / "one", "2KXQE.png")
        call_command("evaluate", "dark", "--version", "1001", "--images", str(folder))
        assert "Not compared with dark/1, which does not load" in capsys.readouterr().err
        assert [row.version for row in Evaluation.objects.all()] == [candidate]

    def test_sums_count_by_their_value(
        self, shipped: Roots, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = images(tmp_path / "sums", "33+2=?.png", "33+2.png", "33+3=?.png", brightness=250)
        run(capsys, "evaluate", "bright", "--images", str(folder))
        assert Evaluation.objects.get().right == 2

    def test_a_type_model_that_lacks_a_type_is_not_right_about_it(
        self, shipped: Roots, tmp_path: Path
    ) -> None:
        old = ModelVersion.objects.get(slug="types")
        new = register_version(folder=write_types(shipped.trained, 1001, labels=("dark", "third", "other")))
        folders = {
            name: load_folder(images(tmp_path / name, "A__1.png", "A__2.png", brightness=brightness))
            for name, brightness in (("dark", 0), ("third", 250), ("strangers", 128))
        }
        rows = evaluate_together([new, old], folders, made_by="a test")
        assert [(row.right, row.n) for row in rows] == [(6, 6), (4, 6)]
        assert judge(new, old).passed

    def test_a_rebuilt_shipped_model_loses_its_figures(self, shipped: Roots, serving: ModelVersion) -> None:
        evaluated(serving, 90)
        write_reader(shipped.shipped, "dark", text="REBUILT")
        install_shipped_models()
        assert not serving.evaluations.exists()


def test_the_list_of_models_shows_evaluations(
    serving: ModelVersion, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(serving, 90)
    assert "90.00 % (90 of 100, 95 % interval 82.56 to 94.48), calibration error 0.0100" in run(
        capsys, "models"
    )


def test_the_database_refuses_impossible_figures(serving: ModelVersion) -> None:
    for n, right in ((0, 0), (5, 6)):
        with pytest.raises(IntegrityError), transaction.atomic():
            evaluated(serving, right, n=n)
