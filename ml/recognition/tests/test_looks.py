"""Several looks at one picture, what issuers write, and the one text that comes of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.recognition import issuers
from ml.recognition.artifacts import ArtifactError, load_spec
from ml.recognition.charset import GENERAL_ALPHABET, Alphabet
from ml.recognition.decoding import Constraints, greedy_decode, joint_decode
from ml.recognition.images import InputSize, fit
from ml.recognition.looks import PLAIN, SIX, THREE, Look, shown
from ml.recognition.reader import Reader
from ml.recognition.tests.artifact_factory import picture, write_reader

SIZE = InputSize()


def seen(*frames: dict[str, float], alphabet: Alphabet = GENERAL_ALPHABET) -> np.ndarray:
    """Logits of characters with these probabilities, a blank frame after each."""
    rows = []
    for frame in frames:
        row = np.full(alphabet.size, 1e-6)
        for character, probability in frame.items():
            row[alphabet.encode(character)] = probability
        rows += [row, np.eye(alphabet.size)[0] + 1e-6]
    return np.log(np.array(rows)).astype(np.float32)


def test_a_plain_look_is_what_a_reader_of_one_look_sees() -> None:
    image = Image.effect_noise((120, 50), 40).convert("RGB")
    np.testing.assert_array_equal(shown(image, SIZE, PLAIN), fit(image, SIZE))


def test_a_stretched_look_is_wider() -> None:
    image = Image.effect_noise((120, 40), 40).convert("RGB")
    assert shown(image, SIZE, Look(stretch=1.25)).shape == (40, 152, 3)


def test_a_margin_is_of_the_paper_and_on_every_side() -> None:
    image = Image.new("RGB", (120, 40), (250, 240, 10))
    image.paste((0, 0, 0), (20, 5, 100, 35))
    look = shown(image, SIZE, Look(margin=0.25))
    assert look.shape == (40, 96, 3)
    for corner in (look[0, 0], look[0, -1], look[-1, 0], look[-1, -1]):
        assert corner.tolist() == [250, 240, 10]


@pytest.mark.parametrize("values", [{"stretch": 0.1}, {"stretch": 9}, {"margin": -0.1}, {"margin": 2}])
def test_a_look_that_leaves_no_picture_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a look's"):
        Look(**values)


def test_digits_together_are_expected_more_than_digits_and_a_letter() -> None:
    assert issuers.surprise("0164") > issuers.surprise("O164")
    assert issuers.surprise("KXQE") > issuers.surprise("KXQe")
    assert issuers.surprise("33+2=?") > issuers.surprise("33+2=R")
    assert issuers.surprise("") == pytest.approx(0, abs=1e-3)


def test_what_issuers_write_turns_an_unsure_reading() -> None:
    logits = seen({"O": 0.55, "0": 0.45}, {"1": 1}, {"6": 1}, {"4": 1})
    alone = joint_decode([logits], GENERAL_ALPHABET, Constraints())
    expected = joint_decode([logits], GENERAL_ALPHABET, Constraints(), expectation=0.8)
    assert alone is not None
    assert expected is not None
    assert (alone.text, expected.text) == ("O164", "0164")
    assert expected.confidence > 0.9


def test_what_is_plainly_seen_is_not_talked_away() -> None:
    logits = seen({"O": 0.9999, "0": 1e-5}, {"1": 1}, {"6": 1}, {"4": 1})
    reading = joint_decode([logits], GENERAL_ALPHABET, Constraints(), expectation=0.8)
    assert reading is not None
    assert reading.text == "O164"


def test_looks_that_disagree_are_weighed() -> None:
    sure = seen({"B": 0.95, "8": 0.05}, {"K": 1})
    unsure = seen({"8": 0.6, "B": 0.4}, {"K": 1})
    reading = joint_decode([unsure, sure], GENERAL_ALPHABET, Constraints())
    assert reading is not None
    assert reading.text == "BK"
    assert 0.5 < reading.confidence < 0.95


def test_looks_that_see_nothing_do_not_outvote_those_that_see_it() -> None:
    """At a scale that a network cannot read it is unsure of everything."""
    sure = seen({"4": 0.97, "9": 0.03}, {"K": 0.97, "X": 0.03})
    blind = seen({"4": 1e-4, "9": 0.3, "7": 0.3}, {"X": 0.3, "K": 1e-4})
    reading = joint_decode([blind, sure, blind, sure], GENERAL_ALPHABET, Constraints())
    assert reading is not None
    assert reading.text == "4K"
    assert reading.confidence > 0.5


def test_looks_that_agree_are_as_sure_as_each() -> None:
    logits = seen({"B": 0.95, "8": 0.05}, {"K": 1})
    reading = joint_decode([logits, logits], GENERAL_ALPHABET, Constraints())
    assert reading is not None
    assert reading.confidence == pytest.approx(greedy_decode(logits, GENERAL_ALPHABET).confidence, abs=0.01)


def test_hints_hold_for_every_look() -> None:
    logits = seen({"O": 0.9, "0": 0.1}, {"1": 1}, {"6": 1})
    digits = joint_decode([logits, logits], GENERAL_ALPHABET, Constraints(numeric="digits"), expectation=0.8)
    assert digits is not None
    assert digits.text == "016"
    assert joint_decode([logits], GENERAL_ALPHABET, Constraints(min_length=7), expectation=0.8) is None


def test_a_picture_without_text_stays_without() -> None:
    nothing = np.log(np.tile(np.eye(GENERAL_ALPHABET.size)[0] + 1e-6, (9, 1)))
    reading = joint_decode([nothing, nothing], GENERAL_ALPHABET, Constraints(), expectation=0.8)
    assert reading is not None
    assert reading.text == ""


def test_a_reader_looks_as_often_as_its_spec_says(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1", looks=THREE, expectation=0.8)
    reader = Reader(folder)
    assert load_spec(folder) == reader.spec
    looks = reader.look(picture("A1"))
    assert len(looks) == 3
    np.testing.assert_array_equal(looks[0], Reader(write_reader(tmp_path / "2")).look(picture("A1"))[0])


def test_a_second_look_is_taken_in_doubt_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sure = Reader(write_reader(tmp_path / "1", looks=THREE))
    unsure = Reader(write_reader(tmp_path / "2", looks=THREE, logits_scale=6))
    runs: list[int] = []
    logits = Reader.logits

    def counted(reader: Reader, batch: np.ndarray) -> np.ndarray:
        runs.append(len(batch))
        return logits(reader, batch)

    monkeypatch.setattr(Reader, "logits", counted)
    sure.read(picture("A1"))
    assert len(runs) == 1
    unsure.read(picture("A1"))
    assert len(runs) == 4
    much = Reader(write_reader(tmp_path / "3", looks=SIX, logits_scale=6))
    much.read(picture("A1"))
    assert len(runs) == 10


def test_three_looks_that_are_sure_together_are_enough_of_six(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", looks=SIX))
    sure, unsure = (
        seen({"A": share, "B": 1 - share}, alphabet=reader.spec.alphabet) for share in (0.999, 0.6)
    )
    looks = iter([unsure, sure, sure, sure, sure, sure])
    reading = reader.settle(looks)
    assert reading is not None
    assert (reading.text, len(list(looks))) == ("A", 3)


@pytest.mark.parametrize(
    "fields", [{"looks": ()}, {"looks": (Look(stretch=1.5),)}, {"expectation": 3.0}, {"expectation": -1.0}]
)
def test_a_spec_that_cannot_be_used_is_refused(tmp_path: Path, fields: dict) -> None:
    with pytest.raises(ArtifactError, match=r"looks|expectation"):
        Reader(write_reader(tmp_path / "1", **fields))
