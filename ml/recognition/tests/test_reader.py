"""Readers and the type classifier on real ONNX sessions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ml.recognition.artifacts import ArtifactError, write_checksums
from ml.recognition.charset import Alphabet
from ml.recognition.decoding import Constraints
from ml.recognition.images import fit
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.tests.artifact_factory import INPUT, picture, write_reader, write_types

SMALL_AND_CAPITAL = Alphabet("0123456789ABCabc")


def test_reads_a_picture_with_confidence_per_character(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1"))
    reading = reader.read(picture("A1B2"))
    assert reading is not None
    assert reading.text == "A1B2"
    assert reading.confidence > 0.99
    assert [character.char for character in reading.characters] == list("A1B2")


def test_a_prepared_picture_is_not_prepared_again(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1"))
    reading = reader.read(picture("A"), prepared=fit(picture("BB"), INPUT))
    assert reading is not None
    assert reading.text == "BB"


def test_a_batch_gives_the_logits_of_each_picture(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1"))
    batch = np.stack([fit(picture(text), INPUT) for text in ("A1", "B2", "C3")] * 12)
    logits = reader.logits(batch)
    assert logits.shape == (36, INPUT.min_width, reader.spec.alphabet.size)
    assert logits.dtype == np.float32
    for one, picture_ in zip(logits, batch, strict=True):
        np.testing.assert_array_equal(one, reader.logits(picture_[None])[0])


def test_temperature_softens_the_confidence(tmp_path: Path) -> None:
    sure = Reader(write_reader(tmp_path / "1", logits_scale=10)).read(picture("A1"))
    unsure = Reader(write_reader(tmp_path / "2", logits_scale=10, temperature=1.5)).read(picture("A1"))
    assert sure is not None
    assert unsure is not None
    assert unsure.confidence < sure.confidence


def test_the_length_in_the_spec_is_a_hard_constraint(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", min_length=4, max_length=4, logits_scale=5))
    reading = reader.read(picture("A1B"))
    assert reading is None or len(reading.text) == 4
    whole = reader.read(picture("A1B2"))
    assert whole is not None
    assert whole.text == "A1B2"


def test_a_hint_beyond_the_length_in_the_spec_leaves_nothing(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", min_length=4, max_length=4))
    assert reader.read(picture("A1B2"), Constraints(max_length=3)) is None


def test_without_case_answers_are_upper_case(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", alphabet=SMALL_AND_CAPITAL, case_sensitive=False))
    reading = reader.read(picture("aB1", alphabet=SMALL_AND_CAPITAL))
    assert reading is not None
    assert reading.text == "AB1"


def test_without_case_a_letter_unsure_of_its_case_is_sure(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", alphabet=SMALL_AND_CAPITAL, case_sensitive=False))
    logits = np.zeros((3, SMALL_AND_CAPITAL.size), np.float32)
    logits[[0, 2], 0] = 20
    logits[1, SMALL_AND_CAPITAL.encode("Bb")] = 20
    reading = reader.decode([logits])
    assert reading is not None
    assert reading.text == "B"
    assert reading.confidence > 0.99


@pytest.mark.parametrize(
    ("constraints", "text"),
    [
        (Constraints(case="lower"), "ab1"),
        (Constraints(case="upper"), "AB1"),
        (Constraints(alphabet=frozenset("abc0123")), "ab1"),
        (Constraints(alphabet=frozenset("aBc0123")), "aB1"),
    ],
)
def test_without_case_the_hint_decides_the_spelling(
    tmp_path: Path, constraints: Constraints, text: str
) -> None:
    reader = Reader(write_reader(tmp_path / "1", alphabet=SMALL_AND_CAPITAL, case_sensitive=False))
    reading = reader.read(picture("Ab1", alphabet=SMALL_AND_CAPITAL), constraints)
    assert reading is not None
    assert reading.text == text


def test_an_empty_picture_is_seen_to_be_empty(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1"))
    for constraints in (Constraints(), Constraints(min_length=4)):
        reading = reader.read(picture(""), constraints)
        assert reading is not None
        assert reading.text == ""


def test_the_type_model_names_a_known_type(tmp_path: Path) -> None:
    types = TypeClassifier(write_types(tmp_path / "1", ["captcha_type_a", "captcha_type_b", "other"]))
    decision = types.classify(fit(picture("", type_index=1), INPUT))
    assert decision.slug == "captcha_type_b"
    assert decision.confidence > 0.99
    assert types.classify(fit(picture("", type_index=2), INPUT)).slug is None


def test_the_type_model_wants_its_threshold(tmp_path: Path) -> None:
    folder = write_types(
        tmp_path / "1",
        ["captcha_type_a", "captcha_type_b", "other"],
        thresholds={"captcha_type_a": 0.9},
        temperature=20.0,
    )
    types = TypeClassifier(folder)
    # e / (e + 2): likely, but not likely enough for A; B has no threshold.
    assert types.classify(fit(picture("", type_index=0), INPUT)).slug is None
    assert types.classify(fit(picture("", type_index=1), INPUT)).slug == "captcha_type_b"


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    weights = folder / "reader.onnx"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"reader\.onnx is damaged"):
        Reader(folder)


def test_weights_other_than_those_expected_are_refused(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    sha256 = Reader(folder).sha256
    assert Reader(folder, expected_sha256=sha256).sha256 == sha256
    with pytest.raises(ArtifactError, match="not the file that was registered"):
        Reader(folder, expected_sha256="0" * 64)


def test_weights_that_are_no_model_are_refused(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    (folder / "reader.onnx").write_bytes(b"no model at all")
    write_checksums(folder)
    with pytest.raises(ArtifactError, match="no model that ONNX Runtime can load"):
        Reader(folder)


def test_weights_beyond_the_limit_are_refused_unread(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    with (folder / "reader.onnx").open("r+b") as stream:
        stream.truncate(5 * 1024 * 1024)
    with pytest.raises(ArtifactError, match="larger than"):
        Reader(folder)


def test_a_network_of_another_alphabet_is_refused(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    other = write_reader(tmp_path / "2", alphabet=Alphabet("AB"))
    (folder / "reader.onnx").write_bytes((other / "reader.onnx").read_bytes())
    write_checksums(folder)
    with pytest.raises(ArtifactError, match="gives 3 classes, its spec names 20"):
        Reader(folder)


def test_a_network_of_other_inputs_is_refused(tmp_path: Path) -> None:
    folder = write_reader(tmp_path / "1")
    value = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["pixels"], ["logits"])],
        "identity",
        [value],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "reader.onnx"))
    write_checksums(folder)
    with pytest.raises(ArtifactError, match="one uint8 input named images"):
        Reader(folder)


def test_a_type_model_is_no_reader(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds types, not reader"):
        Reader(write_types(tmp_path / "1", ["captcha_type_a", "other"]))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="SHA256SUMS cannot be read"):
        Reader(tmp_path / "nowhere")


def test_the_runtime_collects_nothing_about_the_machine(tmp_path: Path) -> None:
    """Unless told not to, ONNX Runtime keeps an id and events to upload in the home of its user."""
    artifact = write_reader(tmp_path / "reader")
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    line = "from pathlib import Path; from ml.recognition.reader import Reader; Reader(Path(FOLDER))"
    subprocess.run(
        [sys.executable, "-c", line.replace("FOLDER", repr(str(artifact)))],
        env=environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home)},
        check=True,
    )
    assert list(home.rglob("*")) == []
