"""Training by command: what it takes, where its artifact goes, when it is promoted.

`TestReally` trains real networks for a moment; elsewhere training writes a tiny model at once.
"""

import fcntl
import functools
import json
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ml.management import arguments
from ml.management.commands.pretrain import style_share
from ml.models import CaptchaType, ModelVersion, Promotion
from ml.recognition.artifacts import TypesSpec, load_spec, trained_on, write_checksums
from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.datasets import hash_bytes
from ml.recognition.synthesis import generator
from ml.services import next_version
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Roots

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow and ONNX warn about themselves

Calls = list[dict[str, Any]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "dark"
    folder.mkdir()
    for index in range(10):
        (folder / f"2KXQE__{index}.png").write_bytes(picture(index))
    (folder / "9ABCD.png").write_bytes(picture(10))  # nothing can be learned from one text alone
    return folder


@pytest.fixture
def general(shipped: Roots) -> Roots:
    """Shipped models, with a general reader that tuning can start from."""
    folder = write_reader(shipped.shipped, "general", text="GENERAL", characters=GENERAL_ALPHABET.characters)
    (folder / "reader.keras").write_bytes(b"weights")
    write_checksums(folder)
    call_command("install_models")
    return shipped


@pytest.fixture
def train_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Calls]:
    """Makes training write a tiny reader of the given text at once; returns what it was called with."""
    from ml.recognition.training import tuning

    def to_text(text: str) -> Calls:
        calls: Calls = []

        def train_reader(slug: str, examples: list[Any], *, out: Path, version: int, **options: Any) -> None:
            calls.append({"slug": slug, "n": len(examples), "version": version, **options})
            write_reader(out, slug, version, text=text, folder=out, case_sensitive=False)

        monkeypatch.setattr(tuning, "train_reader", train_reader)
        return calls

    return to_text


def train(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("train", *words)
    return capsys.readouterr().out


def states() -> dict[str, str]:
    return {str(version): version.state for version in ModelVersion.objects.all()}


class TestTrain:
    def test_the_result_is_a_candidate_below_the_users_root(
        self,
        general: Roots,
        images: Path,
        train_to: Callable[[str], Calls],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        calls = train_to("2KXQE")
        out = train(capsys, "dark", "--images", str(images), "--minutes", "2", "--seed", "7")
        assert "dark/1001 is a candidate" in out
        assert states()["dark/1001"] == "candidate"
        assert states()["dark/1"] == "serving"
        assert (general.trained / "dark" / "1001" / "reader.onnx").is_file()
        assert calls[0]["n"] == 11
        assert calls[0]["start"] == general.shipped / "general" / "1" / "reader.keras"
        assert (calls[0]["config"].minutes, calls[0]["config"].seed) == (2, 7)

    def test_images_of_a_test_folder_judge_and_teach_nothing(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls], tmp_path: Path
    ) -> None:
        tests = tmp_path / "test"
        tests.mkdir()
        (tests / "3ABCD.png").write_bytes(picture(30))
        calls = train_to("2KXQE")
        call_command("train", "dark", "--images", str(images), "--test", str(tests))
        assert (calls[0]["n"], [one.label for one in calls[0]["tests"]]) == (11, ["3ABCD"])

    def test_a_failed_run_leaves_nothing(
        self, general: Roots, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ml.recognition.training import tuning

        def fail(*args: Any, out: Path, **options: Any) -> None:
            (out / "training.csv").write_text("half")
            raise tuning.TooFewExamples("10 images are too few")

        monkeypatch.setattr(tuning, "train_reader", fail)
        with pytest.raises(CommandError, match="too few"):
            call_command("train", "dark", "--images", str(images))
        assert not list((general.trained / "dark").iterdir())
        assert next_version("dark") == 1001

    def test_what_a_killed_run_left_is_deleted_and_what_another_works_on_is_not(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls]
    ) -> None:
        killed, at_work = (general.trained / "dark" / f"{number}.partial" for number in (1001, 1002))
        for folder in (killed, at_work):
            folder.mkdir(parents=True)
            (folder / "training.csv").write_text("half")
            os.utime(folder, (0, 0))
        holder = os.open(at_work, os.O_RDONLY)
        fcntl.flock(holder, fcntl.LOCK_EX)
        train_to("2KXQE")
        call_command("train", "dark", "--images", str(images))
        os.close(holder)
        assert not killed.exists()
        assert (at_work / "training.csv").exists()
        assert states()["dark/1003"] == "candidate"

    def test_a_run_under_way_keeps_its_number(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls]
    ) -> None:
        (general.trained / "dark" / "1001.partial").mkdir(parents=True)
        calls = train_to("2KXQE")
        call_command("train", "dark", "--images", str(images))
        assert calls[0]["version"] == 1002

    def test_out_elsewhere_is_not_registered(
        self,
        general: Roots,
        images: Path,
        train_to: Callable[[str], Calls],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        train_to("2KXQE")
        out = train(capsys, "dark", "--images", str(images), "--out", str(tmp_path / "trial"))
        assert "not registered" in out
        assert (tmp_path / "trial" / "reader.onnx").is_file()
        with pytest.raises(CommandError, match="exists already"):
            call_command("train", "dark", "--images", str(images), "--out", str(tmp_path / "trial"))

    def test_out_below_the_shipped_root_takes_its_number_from_the_folder(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls]
    ) -> None:
        train_to("2KXQE")
        out = general.shipped / "dark" / "2"
        call_command("train", "dark", "--images", str(images), "--out", str(out))
        version = ModelVersion.objects.get(slug="dark", version=2)
        assert version.origin == ModelVersion.Origin.SHIPPED

    def test_a_new_type_may_be_private(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls], owner: Any, outsider: Any
    ) -> None:
        train_to("2KXQE")
        call_command("train", "mine", "--images", str(images), "--owner", "owner")
        assert CaptchaType.objects.get(slug="mine").owner == owner
        with pytest.raises(CommandError, match="does not belong to outsider"):
            call_command("train", "mine", "--images", str(images), "--owner", "outsider")

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ([], "Name one type"),
            (["dark", "--types"], "Name one type"),
            (["general"], "another model"),
            (["Not/A/Slug"], "a-z"),
            (["dark", "--from", "dark"], "dark/1 is no general reader"),
            (["dark", "--from", "general/9"], "no model general/9"),
            (["dark", "--owner", "nobody"], "no user nobody"),
        ],
    )
    def test_complaints_are_plain(
        self, general: Roots, images: Path, words: list[str], complaint: str
    ) -> None:
        with pytest.raises(CommandError, match=complaint):
            call_command("train", *words, "--images", str(images))

    def test_without_the_training_packages_it_says_what_to_type(
        self, general: Roots, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arguments, "find_spec", lambda name: None)
        for words in (["train", "dark"], ["cross_validate", "dark"]):
            with pytest.raises(CommandError, match="make training"):
                call_command(*words, "--images", str(images))
        with pytest.raises(CommandError, match="make training"):
            call_command("pretrain")


class TestPromoteIfBetter:
    def test_a_better_reader_serves_and_the_log_says_why(
        self, general: Roots, tmp_path: Path, train_to: Callable[[str], Calls]
    ) -> None:
        folder = tmp_path / "dark"
        folder.mkdir()
        for index in range(10):
            (folder / f"NEW__{index}.png").write_bytes(picture(index))
        (folder / "OLD.png").write_bytes(picture(10))
        train_to("NEW")
        call_command("train", "dark", "--images", str(folder), "--promote")
        assert states()["dark/1001"] == "serving"
        entry = Promotion.objects.get(version__slug="dark", version__version=1001)
        assert "(10 of 11" in entry.reason
        assert "(0 of 11" in entry.reason

    def test_an_equal_or_worse_reader_does_not(
        self,
        general: Roots,
        images: Path,
        train_to: Callable[[str], Calls],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        for text in ("2KXQE", "WORSE"):
            train_to(text)
            assert "Not promoted" in train(capsys, "dark", "--images", str(images), "--promote")
        assert states()["dark/1"] == "serving"

    def test_a_new_types_reader_is_compared_with_the_general_one(
        self,
        general: Roots,
        images: Path,
        train_to: Callable[[str], Calls],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        train_to("2KXQE")
        out = train(capsys, "third", "--images", str(images), "--promote")
        assert "note: no type model knows third" in out
        assert states()["third/1"] == "serving"
        train_to("WORSE")
        (images / "GENERAL.png").write_bytes(picture(200))
        call_command("train", "third", "--images", str(images), "--promote")
        assert states()["third/2"] == "candidate"

    def test_images_that_the_serving_version_was_trained_on_do_not_count(
        self, general: Roots, images: Path, train_to: Callable[[str], Calls]
    ) -> None:
        from ml.services import promote, register_version

        folder = write_reader(general.trained, "dark", 1001, text="2KXQE")
        hashes = [hash_bytes(file.read_bytes()) for file in images.iterdir()]
        (folder / "trained_on.txt").write_text("\n".join(hashes))
        write_checksums(folder)
        promote(version=register_version(folder=folder), reason="it knows all ten by heart", force=True)
        (images / "NEW.png").write_bytes(picture(99))
        train_to("NEW")
        call_command("train", "dark", "--images", str(images), "--promote")
        assert states()["dark/1002"] == "serving"

    def test_a_type_model_that_knows_more_serves(
        self,
        general: Roots,
        images: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        from ml.recognition.training import types

        def train_types(folders: dict[str, Any], *, out: Path, version: int, **options: Any) -> TypesSpec:
            write_types(out, version, labels=(*folders, "other"), folder=out)
            spec = load_spec(out)
            assert isinstance(spec, TypesSpec)
            return replace(spec, metrics={"look_alikes": [{"types": ["dark", "third"], "share": 0.4}]})

        monkeypatch.setattr(types, "train_types", train_types)
        third = tmp_path / "third"
        third.mkdir()
        for brightness in (250, 251):
            (third / f"A__{brightness}.png").write_bytes(picture(brightness))
        call_command("train", "--types", "--images", str(images), str(third))
        assert "dark and third look alike (40% of the images in doubt)" in capsys.readouterr().err
        assert states()["types/1001"] == "candidate"
        with pytest.raises(CommandError, match=r"no reader for third.*does not know bright"):
            call_command("train", "--types", "--images", str(images), str(third), "--promote")


class TestPretrain:
    def test_the_result_is_a_candidate(
        self, general: Roots, images: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ml.recognition.training import pretraining

        calls: Calls = []

        def pretrain(config: Any, out: Path, *, version: int, **options: Any) -> None:
            calls.append({"config": config, **options})
            write_reader(out, "general", version, folder=out)

        monkeypatch.setattr(pretraining, "pretrain", pretrain)
        call_command("pretrain", "--from", "general", "--minutes", "5", "--watch", str(images))
        assert states()["general/1001"] == "candidate"
        assert calls[0]["config"].minutes == 5
        assert calls[0]["start"] == general.shipped / "general" / "1" / "reader.keras"
        assert len(calls[0]["watch"]["dark"]) == 11


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 drawn captchas of three digits, of one size: each width of a network's input is compiled anew."""
    folder = tmp_path_factory.mktemp("drawn") / "digits"
    folder.mkdir()
    for seed in range(40):
        text = f"{seed * 37 % 1000:03d}"
        generator.draw(seed, "mixed", text).image.resize((96, 40)).save(folder / f"{text}.png")
    return folder


@pytest.fixture
def _little_synthesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning mixes in drawn captchas; a few of them do for a moment's training."""
    from ml import cross_validation
    from ml.recognition.training import tuning

    few = functools.partial(tuning.TrainConfig, drawn=32)
    monkeypatch.setattr(tuning, "TrainConfig", few)
    monkeypatch.setattr(cross_validation, "TrainConfig", few)


@pytest.mark.usefixtures("_little_synthesis")
class TestReally:
    def test_a_reader_is_trained_measured_and_registered(
        self, shipped: Roots, drawn: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = train(capsys, "digits", "--images", str(drawn), "--from", "none", "--steps", "2")
        assert "digits/1 is a candidate" in out
        version = ModelVersion.objects.get(slug="digits")
        assert version.spec["alphabet"] == "0123456789"
        n_seen = len(trained_on(version.path))
        assert 0 < n_seen < 40
        call_command("evaluate", "digits", "--version", "1", "--images", str(drawn))
        out = capsys.readouterr().out
        assert f"{40 - n_seen} images; {n_seen} left out" in out
        assert f"n                        {40 - n_seen}" in out

    def test_every_image_is_judged_once_in_cross_validation(
        self, shipped: Roots, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "figures.json"
        words = ["--from", "none", "--folds", "2", "--steps", "1", "--json", str(file)]
        call_command("cross_validate", "digits", "--images", str(drawn), *words)
        figures = json.loads(file.read_text())
        assert figures["n"] == 40
        assert [fold["n_trained"] + fold["exact_match"]["n"] for fold in figures["folds"]] == [40, 40]
        assert sum(fold["exact_match"]["n"] for fold in figures["folds"]) == 40
        assert "fold 2: trained on" in capsys.readouterr().out
        assert not ModelVersion.objects.filter(slug="digits").exists()

    def test_cross_validation_refuses_a_start_that_saw_the_images(self, general: Roots, drawn: Path) -> None:
        folder = general.shipped / "general" / "1"
        (folder / "trained_on.txt").write_text(hash_bytes((drawn / "037.png").read_bytes()))
        write_checksums(folder)
        with pytest.raises(CommandError, match="was trained on 1 of these images"):
            call_command("cross_validate", "digits", "--images", str(drawn))


def test_the_web_process_imports_no_training(shipped: Roots) -> None:
    code = (
        "import django, sys; django.setup(); import ml.registry, ml.services, ml.admin; "
        "assert not {'tensorflow', 'keras', 'onnx', 'tqdm'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("text", ["cubist=1", "ripples", "ripples=0", "ripples=nan", "ripples=much"])
def test_a_share_of_a_style_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        style_share(text)


def test_a_share_of_a_style_is_understood() -> None:
    assert style_share("ripples=0.5") == ("ripples", 0.5)
