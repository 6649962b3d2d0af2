"""`learning_curve` and `audit` as an operator runs them, with trainings that are over at once.

The tiny readers write one text whatever they see.
"""

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ml.management import arguments
from ml.models import ModelVersion
from ml.recognition.artifacts import write_checksums
from ml.recognition.audit import state
from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.datasets import hash_bytes
from ml.recognition.synthesis import defences
from ml.tests.artifacts import write_reader
from ml.tests.conftest import Roots

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow and ONNX warn about themselves


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """40 drawn captchas: thirty of one text, as the tiny reader reads, and ten others."""
    folder = tmp_path / "dark"
    folder.mkdir()
    for seed in range(40):
        text = "2KXQE" if seed < 30 else f"AB{seed}C"
        defences.draw(seed, text, (120, 40), ["rotation"]).save(folder / f"{text}__{seed}.png")
    return folder


@pytest.fixture
def general(shipped: Roots) -> Roots:
    """Shipped models, with a general reader that tuning can start from."""
    folder = write_reader(shipped.shipped, "general", text="AB31C", characters=GENERAL_ALPHABET.characters)
    (folder / "reader.keras").write_bytes(b"weights")
    write_checksums(folder)
    call_command("install_models")
    return shipped


@pytest.fixture
def trainings(general: Roots, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes training write a tiny reader at once; the number of labels of each training."""
    from ml.recognition.training import tuning

    seen: list[int] = []

    def train_reader(slug: str, examples: list[Any], *, out: Path, **options: Any) -> None:
        if len(examples) < 10:
            raise tuning.TooFewExamples(f"{len(examples)} labelled images are too few")
        options["progress"](0.5, "loss 1.000")
        seen.append(len(examples))
        write_reader(out, slug, text="2KXQE", folder=out, case_sensitive=False)

    monkeypatch.setattr(tuning, "train_reader", train_reader)
    return seen


@pytest.fixture
def run(tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command on the images and gives what it printed."""

    def call(command: str, *words: str, folder: Path = images) -> str:
        own = ["--images", str(folder), "--state", str(tmp_path / "state")]
        capsys.readouterr()  # what the fixtures said
        call_command(command, "dark", *own, *words)
        return capsys.readouterr().out

    return call


class TestLearningCurve:
    def test_writes_one_page_and_the_same_facts(
        self, run: Callable[..., str], trainings: list[int], tmp_path: Path
    ) -> None:
        page, facts = tmp_path / "page.html", tmp_path / "facts.json"
        words = ["--counts", "12", "25", "--out", str(page), "--json", str(facts)]
        printed = run("learning_curve", *words)
        assert "Too short for a forecast of 99 %" in printed
        told = json.loads(facts.read_text())
        assert told["n"] == 40
        assert [point["labels"] for point in told["curve"]["points"]] == trainings[:2] == [12, 25]
        assert told["curve"]["untrained"]["n"] == told["curve"]["n_test"]
        html = page.read_text()
        assert "<script" not in html
        assert "http" not in html.replace("http-equiv", "")
        assert told["forecast"]["line"] in html
        assert not ModelVersion.objects.filter(slug="dark", version__gt=1).exists()

    def test_a_finished_run_is_not_done_again(self, run: Callable[..., str], trainings: list[int]) -> None:
        words = ["learning_curve", "--no-suspects"]
        first = run(*words)
        done = len(trainings)
        assert run(*words) == first
        assert len(trainings) == done
        run(*words, "--seed", "1")
        assert len(trainings) > done

    def test_suspects_are_named_with_label_and_reading(
        self, run: Callable[..., str], trainings: list[int], images: Path
    ) -> None:
        for seed in range(100, 120):  # so that each fold has labels enough to part
            defences.draw(seed, f"Z{seed}", (120, 40)).save(images / f"Z{seed}.png")
        told = json.loads(run("learning_curve", "--json", "--folds", "2"))
        suspects = told["suspects"]["suspects"]
        assert {suspect["read"] for suspect in suspects} == {"2KXQE"}
        assert len(suspects) == 30

    def test_json_in_place_of_the_text(self, run: Callable[..., str], trainings: list[int]) -> None:
        assert json.loads(run("learning_curve", "--json", "--no-suspects"))["type"] == "dark"

    def test_an_interrupt_is_one_line_that_says_how_to_go_on(
        self, run: Callable[..., str], trainings: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        from ml.recognition.training import tuning

        def interrupt(*args: Any, out: Path, **options: Any) -> None:
            out.mkdir()
            raise KeyboardInterrupt

        monkeypatch.setattr(tuning, "train_reader", interrupt)
        with pytest.raises(
            CommandError, match=r"Stopped\. What was finished is kept in .*goes on"
        ) as stopped:
            run("learning_curve", "--out", str(tmp_path / "page.html"))
        assert stopped.value.returncode == 130
        assert not (tmp_path / "page.html").exists()
        assert not list((tmp_path / "state").rglob("*.partial"))

    def test_an_interrupt_that_a_library_swallows_stops_the_run_all_the_same(
        self, run: Callable[..., str], trainings: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ml.recognition.training import tuning

        finish = tuning.train_reader

        def swallow(*args: Any, **options: Any) -> None:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            finish(*args, **options)

        monkeypatch.setattr(tuning, "train_reader", swallow)
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(CommandError, match="Stopped"):
            run("learning_curve")
        assert signal.getsignal(signal.SIGINT) is before
        assert trainings == []

    def test_a_full_disk_is_one_line(
        self, run: Callable[..., str], trainings: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: state.Results, name: str, value: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(state.Results, "put", full)
        with pytest.raises(CommandError, match=r"Cannot read or write: .*No space left on device"):
            run("learning_curve")

    def test_a_page_that_cannot_be_written_is_known_before_training(
        self, run: Callable[..., str], trainings: list[int], tmp_path: Path
    ) -> None:
        with pytest.raises(CommandError, match="Cannot read or write"):
            run("learning_curve", "--out", str(tmp_path / "nowhere" / "page.html"))
        assert trainings == []

    def test_a_start_that_saw_the_images_is_refused(
        self, run: Callable[..., str], general: Roots, trainings: list[int], images: Path
    ) -> None:
        folder = general.shipped / "general" / "1"
        (folder / "trained_on.txt").write_text(hash_bytes((images / "2KXQE__0.png").read_bytes()))
        write_checksums(folder)
        for command in ("learning_curve", "audit"):
            with pytest.raises(CommandError, match="was trained on 1 of these images"):
                run(command)


class TestBadImages:
    @pytest.mark.parametrize("command", ["learning_curve", "audit"])
    def test_what_cannot_be_measured_is_one_clear_line(
        self, command: str, run: Callable[..., str], trainings: list[int], images: Path, tmp_path: Path
    ) -> None:
        empty, three, equal, broken = (tmp_path / name for name in ("empty", "three", "equal", "broken"))
        for folder in (empty, three, equal, broken):
            folder.mkdir()
        for index, path in enumerate(sorted(images.iterdir())[:12]):
            (equal / f"SAME__{index}.png").write_bytes(path.read_bytes())
            (broken / f"B{index}.png").write_bytes(b"\x89PNG")
        for path in sorted(images.iterdir())[:3]:
            (three / path.name).write_bytes(path.read_bytes())
        complaints = {
            tmp_path / "missing": "is not a folder",
            empty: "holds no images",
            three: "3 images with a label are too few",
            equal: "all 12 labels are 'SAME'",
            broken: "0 images with a label are too few",
        }
        for folder, complaint in complaints.items():
            with pytest.raises(CommandError, match=complaint) as refused:
                run(command, folder=folder)
            assert "\n" not in str(refused.value)
        assert trainings == []

    def test_what_is_only_suspicious_is_listed_and_measured(
        self, run: Callable[..., str], trainings: list[int], images: Path
    ) -> None:
        (images / "BROKE.png").write_bytes(b"\x89PNG")
        (images / "OTHER.png").write_bytes((images / "AB30C__30.png").read_bytes())
        defences.draw(99, "AB", (120, 40)).save(images / "AB.png")
        told = json.loads(run("learning_curve", "--json", "--no-suspects"))
        found = {finding["code"]: finding["count"] for finding in told["findings"]}
        assert (found["broken"], found["conflict"], found["length"]) == (1, 1, 1)
        assert told["n"] == 40  # of 43, less the broken one and both sides of the conflict

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["general"], "another model"),
            (["Not/A/Slug"], "a-z"),
            (["dark", "--goal", "100"], "between 0 and 100"),
            (["dark", "--folds", "1"], "at least 2"),
            (["dark", "--counts", "0"], "invalid positive value: '0'"),
            (["dark", "--from", "general/9"], "no model general/9"),
        ],
    )
    def test_complaints_are_plain(
        self, general: Roots, images: Path, words: list[str], complaint: str
    ) -> None:
        with pytest.raises(CommandError, match=complaint):
            call_command("learning_curve", *words, "--images", str(images))

    def test_without_the_training_packages_it_says_what_to_type(
        self, run: Callable[..., str], general: Roots, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arguments, "find_spec", lambda name: None)
        for command in ("learning_curve", "audit"):
            with pytest.raises(CommandError, match="make training"):
                run(command)
        assert "no label" in run("audit", "--no-training", "--no-defences")


class TestAudit:
    def test_measures_reading_without_and_with_labels_and_each_defence(
        self, run: Callable[..., str], trainings: list[int], tmp_path: Path
    ) -> None:
        page = tmp_path / "page.html"
        told = json.loads(run("audit", "--json", "--out", str(page), "--drawn", "2"))
        general = told["general_reader"]
        assert (general["no_hints"]["correct"], general["no_hints"]["n"]) == (1, 40)
        assert general["hints"].startswith("length 5")
        assert general["cpu_ms_an_answer"] > 0
        assert [worth["defence"] for worth in told["defences"]["worth"]] == list(defences.DEFENCES)
        assert told["defences"]["plain"]["n"] == 2
        assert [point["labels"] for point in told["curve"]["points"]] == trainings
        html = page.read_text()
        assert "For owners of the captcha and people authorised to test it" in html
        assert "<script" not in html
        assert html.count("data:image/png;base64,") > len(defences.DEFENCES)

    def test_the_advice_follows_from_the_figures(self, run: Callable[..., str], trainings: list[int]) -> None:
        printed = run("audit", "--no-defences")
        assert "For owners of the captcha" in printed
        assert "No label and no training read 2.5 % of it (1 of 40 images" in printed
        assert "about 1 in 40 passes" in printed
        assert "proof-of-work" in printed

    def test_drawing_and_curve_go_on_where_they_were(
        self, run: Callable[..., str], trainings: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("audit", "--drawn", "1")
        done = len(trainings)
        monkeypatch.setattr("ml.recognition.audit.strength._read_drawn", None)
        run("audit", "--drawn", "1")
        assert len(trainings) == done

    def test_there_is_no_audit_without_a_general_reader(
        self, run: Callable[..., str], general: Roots
    ) -> None:
        with pytest.raises(CommandError, match="reads with the general reader"):
            run("audit", "--from", "none")
