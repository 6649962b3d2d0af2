"""Learning curves and suspect labels, with a training that is over at once.

The pretended training writes a reader that reads what a test wrote into the picture (artifact_factory), so
that everything around the training is the real thing. One test trains for real.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml.recognition.audit.curve import counts_up_to
from ml.recognition.audit.state import Results, write_whole
from ml.recognition.datasets import Example, load_folder
from ml.recognition.synthesis import generator
from ml.recognition.tests.artifact_factory import ALPHABET, picture, png, write_reader
from ml.recognition.training import learning_curve, tuning
from ml.recognition.training.learning_curve import CurveConfig, NoCurve
from ml.recognition.training.suspects import find_suspects

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow and ONNX warn about themselves

Trainings = list[list[str]]


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """48 images; three of them say something else than their names."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(48):
        label = f"A{number:02d}"
        shown = f"B{number:02d}" if number in (7, 21, 40) else label
        (folder / f"{label}.png").write_bytes(png(picture(shown)))
    return load_folder(folder)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    """The labels that each pretended training was given."""
    seen: Trainings = []

    def train_reader(slug: str, given: list[Example], *, out: Path, **options: Any) -> None:
        if len(given) < 10:
            raise tuning.TooFewExamples(f"{len(given)} labelled images are too few")
        assert options["config"].held_out == 0
        seen.append([example.label for example in given])
        write_reader(out, slug=slug, alphabet=ALPHABET)

    monkeypatch.setattr(tuning, "train_reader", train_reader)
    return seen


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "state", {"a": 1})


@pytest.fixture
def curve(examples: list[Example], results: Results) -> Callable[..., Any]:
    def measure(**options: Any) -> Any:
        config = CurveConfig(**options)
        return learning_curve.learning_curve("x", examples, config=config, start=None, results=results)

    return measure


class TestCurve:
    def test_all_counts_are_judged_on_the_same_images_that_none_was_trained_on(
        self, curve: Callable[..., Any], examples: list[Example], trainings: Trainings
    ) -> None:
        measured = curve()
        assert [point.labels for point in measured.points] == [10, 25, 36]
        assert measured.n_test == 12
        assert {point.exact_match["n"] for point in measured.points} == {12}
        trained_on = set(trainings[-1])
        wrong_in_test = sum(f"A{n:02d}" not in trained_on for n in (7, 21, 40))
        assert measured.points[-1].exact_match["correct"] == 12 - wrong_in_test
        assert [len(labels) for labels in trainings] == [10, 25, 36]
        assert set(trainings[0]) < set(trainings[1]) < set(trainings[2])

    def test_draws_are_different_images_of_one_pool(
        self, curve: Callable[..., Any], trainings: Trainings
    ) -> None:
        measured = curve(counts=(10, 20), draws=2)
        assert [(point.draw, point.labels) for point in measured.points] == [
            (0, 10), (0, 20), (1, 10), (1, 20),
        ]  # fmt: skip
        assert set(trainings[0]) != set(trainings[2])
        assert [point.labels for point in measured.measured] == [10, 20]

    def test_a_stopped_run_goes_on_where_it_was(
        self,
        curve: Callable[..., Any],
        trainings: Trainings,
        monkeypatch: pytest.MonkeyPatch,
        results: Results,
    ) -> None:
        finish = tuning.train_reader

        def stop_at_25(slug: str, given: list[Example], *, out: Path, **options: Any) -> Any:
            out.mkdir(parents=True)
            (out / "half").write_text("written")
            if len(given) == 25:
                raise KeyboardInterrupt
            (out / "half").unlink()
            out.rmdir()
            return finish(slug, given, out=out, **options)

        monkeypatch.setattr(tuning, "train_reader", stop_at_25)
        with pytest.raises(KeyboardInterrupt):
            curve()
        assert sorted(path.name for path in results.folder.iterdir()) == ["key.json", "labels-10-draw-0.json"]
        monkeypatch.setattr(tuning, "train_reader", finish)
        assert len(curve().points) == 3
        assert [len(labels) for labels in trainings] == [10, 25, 36]

    def test_counts_that_do_not_fit_are_named(self, curve: Callable[..., Any], trainings: Trainings) -> None:
        measured = curve(counts=(5, 10, 500))
        assert [point.labels for point in measured.points] == [10]
        assert measured.skipped == {
            500: "there are 36 labels to train on",
            5: "5 labelled images are too few",
        }

    def test_no_count_that_fits_is_one_clear_line(
        self, curve: Callable[..., Any], trainings: Trainings
    ) -> None:
        with pytest.raises(NoCurve, match="48 labelled images leave 36 to train on beside 12 to test on"):
            curve(counts=(500,))
        with pytest.raises(NoCurve, match="5 labels: 5 labelled images are too few"):
            curve(counts=(5,))

    def test_images_of_one_label_cannot_be_parted(self, results: Results, trainings: Trainings) -> None:
        same = [Example(Path(f"{i}.png"), f"{i:064x}", "SAME") for i in range(20)]
        with pytest.raises(NoCurve, match="no test images can be set aside"):
            learning_curve.learning_curve("x", same, config=CurveConfig(), start=None, results=results)


class TestSuspects:
    def test_labels_that_are_surely_read_otherwise_come_with_both_probabilities(
        self, examples: list[Example], trainings: Trainings, results: Results
    ) -> None:
        config = tuning.TrainConfig()
        found = find_suspects("x", examples, folds=4, config=config, start=None, results=results)
        assert [suspect.label for suspect in found.suspects] == ["A07", "A21", "A40"]
        assert [suspect.read for suspect in found.suspects] == ["B07", "B21", "B40"]
        assert all(s.confidence > 0.99 and s.label_probability < 0.01 for s in found.suspects)
        assert found.agreement["correct"] == 45
        assert len(trainings) == 4
        assert all(len(labels) == 36 for labels in trainings)
        again = find_suspects("x", examples, folds=4, config=config, start=None, results=results)
        assert again == found
        assert len(trainings) == 4

    def test_too_few_images_are_not_doubted(self, examples: list[Example], results: Results) -> None:
        config = tuning.TrainConfig()
        with pytest.raises(NoCurve, match="19 images are too few to doubt a label"):
            find_suspects("x", examples[:19], folds=5, config=config, start=None, results=results)


class TestResults:
    def test_another_key_finds_nothing(self, tmp_path: Path) -> None:
        Results(tmp_path, {"seed": 0}).put("one", {"n": 1})
        assert Results(tmp_path, {"seed": 0}).get("one") == {"n": 1}
        assert Results(tmp_path, {"seed": 1}).get("one") is None

    def test_a_damaged_file_counts_as_none(self, results: Results) -> None:
        results.put("one", [1])
        (results.folder / "one.json").write_text('{"half')
        assert results.get("one") is None

    def test_a_full_disk_leaves_the_value_before(
        self, results: Results, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        results.put("one", [1])

        def full(self: Path, text: str, **options: Any) -> None:
            with self.open("w") as stream:
                stream.write(text[:2])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            results.put("one", [2])
        assert results.get("one") == [1]
        assert not list(results.folder.glob("*.partial"))

    def test_a_file_is_replaced_whole(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "a.html", "first")
        write_whole(tmp_path / "a.html", "second")
        assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
        assert (tmp_path / "a.html").read_text() == "second"


@pytest.mark.parametrize(
    ("available", "counts"),
    [
        (8, (8,)),
        (10, (10,)),
        (11, (10,)),
        (12, (10, 12)),
        (110, (10, 25, 50, 100)),
        (150, (10, 25, 50, 100, 150)),
    ],
)
def test_counts_grow_up_to_what_there_is(available: int, counts: tuple[int, ...]) -> None:
    assert counts_up_to(available) == counts


def test_the_results_depend_on_images_labels_and_settings(examples: list[Example], tmp_path: Path) -> None:
    def key(given: list[Example], **train: Any) -> Path:
        config = CurveConfig(train=tuning.TrainConfig(**train))
        return learning_curve.results_of(tmp_path, "x", given, config, None).folder

    assert key(examples) == key(examples[::-1])
    assert len({key(examples), key(examples[1:]), key(examples, steps=5), key(examples, seed=1)}) == 4
    folder = learning_curve.results_of(tmp_path, "x", examples, CurveConfig(), None)
    folder.prepare()
    assert json.loads((folder.folder / "key.json").read_text())["slug"] == "x"


def test_a_point_is_really_trained_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "TrainConfig", functools.partial(tuning.TrainConfig, drawn=32))
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(16):
        text = f"{seed * 37 % 1000:03d}"
        generator.draw(seed, "mixed", text).image.resize((96, 40)).save(folder / f"{text}.png")
    config = CurveConfig(counts=(12,), train=tuning.TrainConfig(steps=1))
    results = Results(tmp_path / "state", {})
    measured = learning_curve.learning_curve(
        "digits", load_folder(folder), config=config, start=None, results=results
    )
    assert measured.points[0].exact_match["n"] == 4
    assert measured.points[0].cpu_seconds > 0
