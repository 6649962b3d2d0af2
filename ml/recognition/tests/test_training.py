"""Training for real, only small: networks, loss, a reader, the type model and the general reader."""

import csv
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from ml.recognition import artifacts, metrics
from ml.recognition.charset import BLANK, GENERAL_ALPHABET, Alphabet
from ml.recognition.ctc import ctc_loss, encode_targets, frames_needed
from ml.recognition.datasets import Example, load_folder
from ml.recognition.images import InputSize, fit, open_image
from ml.recognition.networks import FRAME_WIDTH, copy_weights, reader_network, type_network
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.synthesis import generator
from ml.recognition.tests.artifact_factory import picture, write_reader
from ml.recognition.training import general, packaging, pretraining, splicing, tuning, types
from ml.recognition.training.augmentation import augment
from ml.recognition.training.batches import Pool, in_order
from ml.recognition.training.fitting import Checkpoint
from ml.recognition.training.restyling import Palette

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow and ONNX warn about themselves


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 drawn captchas of three digits."""
    path = tmp_path_factory.mktemp("digits")
    for seed in range(60):
        text = f"{seed * 37 % 1000:03d}"
        generator.draw(seed, "mixed", text).image.save(path / f"{text}.png")
    return path


@pytest.fixture(scope="module")
def examples(folder: Path) -> list[Example]:
    return load_folder(folder)


def test_the_loss_is_nothing_where_the_logits_spell_the_text() -> None:
    alphabet = Alphabet("AB")
    targets = encode_targets(["AAB", ""], alphabet, 5)
    assert targets.tolist() == [[1, 1, 2, 0, 0], [0, 0, 0, 0, 0]]
    logits = np.full((2, 6, 3), -20.0, np.float32)
    for frame, index in enumerate([1, BLANK, 1, 2, BLANK, BLANK]):
        logits[0, frame, index] = 20.0
    logits[1, :, BLANK] = 20.0
    assert float(ctc_loss(targets, logits)) == pytest.approx(0.0, abs=1e-3)
    assert float(ctc_loss(targets[::-1].copy(), logits)) > 10


def test_texts_that_cannot_be_coded_are_refused() -> None:
    with pytest.raises(ValueError, match="'C'"):
        encode_targets(["ABC"], Alphabet("AB"), 5)
    with pytest.raises(ValueError, match="longer"):
        encode_targets(["AAAA"], Alphabet("AB"), 3)


def test_doubled_characters_need_a_frame_more() -> None:
    assert frames_needed("ABAB") == 4
    assert frames_needed("AABB") == 6


@pytest.mark.parametrize("width", [48, 120, 320])
def test_the_networks_take_any_width(width: int) -> None:
    images = np.zeros((2, 40, width, 3), np.uint8)
    assert reader_network(11, InputSize())(images).shape == (2, width // FRAME_WIDTH, 11)
    assert type_network(3, InputSize())(images).shape == (2, 3)


def test_a_new_head_starts_with_the_rows_of_the_same_characters(tmp_path: Path) -> None:
    source = reader_network(GENERAL_ALPHABET.size, InputSize())
    source.save(tmp_path / "reader.keras")
    spec = replace(tuning.spec_of_labels("x", 1, ["7X"], InputSize()), alphabet=Alphabet("7X"))
    network = tuning.starting_network(spec, ["7X"], tmp_path / "reader.keras")
    kernel, known = (n.get_layer("head").get_weights()[0] for n in (network, source))
    assert np.array_equal(kernel[..., 0], known[..., BLANK])
    assert np.array_equal(kernel[..., 2], known[..., GENERAL_ALPHABET.index["X"]])
    assert copy_weights(source, network) > 10


def test_weights_are_mixed_by_share() -> None:
    one, other = (reader_network(3, InputSize()) for _ in range(2))
    before, theirs = one.get_weights(), other.get_weights()
    pretraining.mix(one, other, 0.25)
    for mixed, own, foreign in zip(one.get_weights(), before, theirs, strict=True):
        np.testing.assert_allclose(mixed, 0.75 * own + 0.25 * foreign, atol=1e-6)


def test_labels_tell_what_a_type_is() -> None:
    spec = tuning.spec_of_labels("x", 1, ["2KXQE"] * 20 + ["9AB3C"] * 20, InputSize())
    assert (spec.case_sensitive, spec.min_length, spec.max_length, spec.arithmetic) == (False, 5, 5, False)
    sums = tuning.spec_of_labels("x", 1, ["33+2=?", "1+20=?"], InputSize())
    assert sums.arithmetic
    assert sums.alphabet.characters == "0123456789+=?"
    assert sums.min_length is None
    mixed = tuning.spec_of_labels("x", 1, ["aB", "Ab"] * 200, InputSize())
    assert mixed.case_sensitive
    assert mixed.alphabet.characters == "ABab"
    small = tuning.spec_of_labels("x", 1, ["ab"] * 200, InputSize())
    assert small.alphabet.characters == "AB"
    assert tuning.printed_as(small, ["ab"]) == {"A": "a", "B": "b"}


def test_a_character_that_few_labels_lack_stays_possible() -> None:
    few = tuning.spec_of_labels("x", 1, ["1234"] * 5, InputSize())
    assert few.alphabet.characters == "0123456789"
    many = tuning.spec_of_labels("x", 1, ["1234"] * 50, InputSize())
    assert many.alphabet.characters == "1234"


def test_augmentation_keeps_the_shape_and_varies_the_pixels() -> None:
    rng = np.random.default_rng(0)
    image = fit(generator.draw(1, "mixed").image, InputSize())
    varied = [augment(rng, image, 1.0) for _ in range(8)]
    assert all(other.shape == image.shape and other.dtype == np.uint8 for other in varied)
    assert any(not np.array_equal(other, image) for other in varied)
    assert augment(rng, image, 0.0) is image


def test_a_batch_has_one_width_and_order_visits_every_pair_once() -> None:
    pairs = [(np.zeros((40, width, 3), np.uint8), str(width)) for width in (48, 48, 64, 80, 80, 80)]
    images, labels = Pool(pairs).batch(np.random.default_rng(0), 5, 0.0)
    assert images.shape[0] == 5
    assert set(labels) == {str(images.shape[2])}
    seen = [index for indices, _ in in_order(pairs, 2) for index in indices]
    assert sorted(seen) == list(range(6))


def test_a_reader_is_trained_packed_and_read_with(examples: list[Example], tmp_path: Path) -> None:
    lines: list[str] = []
    spec = tuning.train_reader(
        "digits",
        examples,
        start=None,
        out=tmp_path,
        config=tuning.TrainConfig(steps=60, evaluate_every=20, drawn=256, size=InputSize(max_width=160)),
        progress=lambda share, line: lines.append(line),
    )
    artifacts.verify(tmp_path)
    assert artifacts.load_spec(tmp_path) == spec
    assert set(spec.alphabet.characters) <= set("0123456789")
    assert (spec.min_length, spec.max_length) == (3, 3)
    assert spec.metrics["parity"] < 1e-3
    assert spec.metrics["held_out"]["n"] + spec.dataset["n_train"] + spec.dataset["n_validation"] == 60
    trained_on = artifacts.trained_on(tmp_path)
    assert len(trained_on) == spec.dataset["n_train"] + spec.dataset["n_validation"]
    with (tmp_path / "training.csv").open() as log:
        losses = [float(row["loss"]) for row in csv.DictReader(log)]
    assert losses[-1] < losses[0]
    assert len(lines) == len(losses)
    assert "<polyline" in (tmp_path / "report.html").read_text()
    reading = Reader(tmp_path).read(open_image(examples[0].path.read_bytes()))
    assert reading is None or len(reading.text) in (0, 3)  # nothing seen, or what the type's length allows


def test_test_images_judge_in_place_of_a_share_held_out(examples: list[Example], tmp_path: Path) -> None:
    spec = tuning.train_reader(
        "digits",
        examples[:50],
        start=None,
        out=tmp_path,
        config=tuning.TrainConfig(steps=2, evaluate_every=2, drawn=0, size=InputSize(max_width=160)),
        tests=examples[45:],  # five of which are trained on
    )
    assert spec.dataset["n_train"] + spec.dataset["n_validation"] == 50
    assert (spec.dataset["n_held_out"], spec.metrics["held_out"]["n"]) == (10, 10)
    assert not artifacts.trained_on(tmp_path) & {example.data_hash for example in examples[50:]}


def test_too_few_labels_are_refused_with_the_number_needed(examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(tuning.TooFewExamples, match="9 labelled images are too few"):
        tuning.train_reader("digits", examples[:9], start=None, out=tmp_path)


def test_the_type_model_is_trained_and_decides(tmp_path: Path) -> None:
    folders = {}
    for slug, style in (("rings", "ripples"), ("plus", "sums")):
        path = tmp_path / slug
        path.mkdir()
        for seed in range(30):
            generator.draw(seed, style, f"{seed:02d}+{seed % 7}=?").image.save(path / f"{seed:02d}.png")
        folders[slug] = load_folder(path)
    out = tmp_path / "types"
    config = types.TypesConfig(steps=240, drawn=100, negatives=100, threshold=0.34)
    spec = types.train_types(folders, out=out, config=config)
    assert spec.labels == ("plus", "rings", artifacts.OTHER)
    artifacts.verify(out)
    decided = types.decisions(TypeClassifier(out), folders)
    assert min(share["value"] for share in decided.values()) > 0.5


def test_the_general_reader_is_pretrained_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(general, "_DRAWN", 48)
    monkeypatch.setattr(general, "_NEGATIVES", 40)
    config = pretraining.PretrainConfig(
        steps=8, block_size=256, batch_size=16, processes=0, held_out=32, reuse=0.25, warmup_steps=2
    )
    first, second = tmp_path / "1", tmp_path / "2"
    spec = pretraining.pretrain(config, first)
    artifacts.verify(first)
    assert spec.alphabet == GENERAL_ALPHABET
    assert spec.metrics["negatives_answered"]["n"] == 40
    again = pretraining.pretrain(config, second, start=first / "reader.keras", version=2)
    assert again.dataset["steps"] > spec.dataset["steps"]
    with (second / "training.csv").open() as log:
        steps = [int(row["steps"]) for row in csv.DictReader(log)]
    assert steps == sorted(steps)
    # Without the optimizer's moments, so that the artifact stays small.
    assert (second / "reader.keras").stat().st_size < 0.6 * artifacts.MAX_FILE_BYTES
    assert keras.models.load_model(second / "reader.keras", compile=False).count_params() > 100_000


def test_thresholds_are_the_least_confidence_that_is_right_often_enough() -> None:
    readings = [("A", "A", 0.9), ("B", "B", 0.8), ("C", "X", 0.7), ("D", None, 0.0)]
    table = metrics.thresholds(readings)
    assert table["0.95"] is not None
    assert table["0.95"]["confidence"] == 0.8
    assert table["0.95"]["answered"] == 0.5
    assert table["0.999"] == table["0.95"]
    assert table["0.95"]["right"]["correct"] == 2
    assert metrics.thresholds([("A", "B", 0.9)])["0.95"] is None


def test_a_temperature_is_what_is_expected_until_pictures_tell_otherwise(tmp_path: Path) -> None:
    modest = Reader(write_reader(tmp_path / "1", logits_scale=6))
    nothing, few, many = (
        packaging.calibrated(modest, [(picture("A1B2"), "A1B2")] * count) for count in (0, 2, 60)
    )
    assert nothing == pytest.approx(packaging.EXPECTED_TEMPERATURE, rel=0.05)
    assert many < few <= nothing
    often_wrong = packaging.calibrated(modest, [(picture("A1B2"), text) for text in ("A1B2", "A1B3") * 30])
    assert often_wrong > nothing
    small = [(picture("A1B2"), text) for text in ("A1B2", "a1b2") * 30]
    assert packaging.calibrated(modest, small) == pytest.approx(many, rel=0.2)
    assert packaging.calibrated(modest, small, case_sensitive=True) == often_wrong


def test_splicing_cuts_between_characters_and_keeps_length_and_width() -> None:
    alphabet = Alphabet("0123456789")
    generator_ = np.random.default_rng(0)
    aligned = []
    for number in range(6):
        text = f"{number}{number + 1}{number + 2}"
        image = np.zeros((40, 96, 3), np.uint8)
        logits = np.full((24, alphabet.size), -5.0)
        logits[:, BLANK] = 0
        for place, character in enumerate(text):
            image[:, 32 * place : 32 * place + 32] = int(character)
            logits[8 * place + 3 : 8 * place + 5, alphabet.index[character]] = 5
        item = splicing.align((image, text), logits, alphabet)
        assert item is not None
        assert item.cuts == (32, 64)
        aligned.append(item)
    splicer = splicing.Splicer(aligned, frozenset({3}))
    pairs = splicer.pairs(generator_, 96, 20)
    assert len(pairs) == 20
    for image, text in pairs:
        assert image.shape == (40, 96, 3)
        assert "".join(str(image[0, 16 + 32 * place, 0]) for place in range(3)) == text
    assert splicer.pairs(generator_, 64, 20) == []
    assert splicing.align((aligned[0].image, "999"), logits, alphabet) is None


def test_restyled_images_take_the_paper_and_keep_the_shape() -> None:
    blue = np.full((40, 80, 3), (200, 220, 255), np.uint8)
    blue[10:30, 20:60] = (20, 20, 120)
    drawn = np.full((40, 80, 3), 0, np.uint8)
    drawn[10:30, 10:30] = 255
    styled = Palette([blue]).restyle(np.random.default_rng(0), drawn)
    assert tuple(styled[0, 0]) == (200, 220, 255)
    assert styled[20, 20].astype(int).sum() < 400  # Dark on pale, where it was white on black.


def test_a_stopped_tuning_goes_on_from_its_checkpoint(examples: list[Example], tmp_path: Path) -> None:
    config = tuning.TrainConfig(
        steps=30, evaluate_every=10, drawn=0, synthesis=0, size=InputSize(max_width=160)
    )
    checkpoint = tmp_path / "checkpoint.npz"

    def stop(share: float, line: str) -> None:
        if share >= 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuning.train_reader(
            "digits",
            examples,
            start=None,
            out=tmp_path / "1",
            config=config,
            checkpoint=checkpoint,
            progress=stop,
        )
    assert checkpoint.exists()
    shares: list[float] = []
    spec = tuning.train_reader(
        "digits",
        examples,
        start=None,
        out=tmp_path / "2",
        config=config,
        checkpoint=checkpoint,
        progress=lambda share, line: shares.append(share),
    )
    assert shares[0] > 0.6
    assert spec.metrics["steps"] == 30
    assert not checkpoint.exists()
    with (tmp_path / "2" / "training.csv").open() as log:
        assert [row["steps"] for row in csv.DictReader(log)] == ["10", "20", "30"]


def test_a_damaged_or_foreign_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "c.npz"
    assert Checkpoint(path, "a").load() is None
    path.write_bytes(b"PK\x03\x04 nonsense")
    assert Checkpoint(path, "a").load() is None
    Checkpoint(path, "a").save({"steps": 3}, weights=[np.arange(3)])
    assert Checkpoint(path, "b").load() is None
    loaded = Checkpoint(path, "a").load()
    assert loaded is not None
    assert loaded[0] == {"steps": 3}
    assert loaded[1]["weights"][0].tolist() == [0, 1, 2]
