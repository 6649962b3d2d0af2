"""From upload to answer, with real sessions on tiny networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml.recognition.charset import Alphabet
from ml.recognition.decoding import Constraints
from ml.recognition.images import ImageError
from ml.recognition.pipeline import Recognizer, Unsolvable
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.tests.artifact_factory import picture, png, write_reader, write_types

LABELS = ["captcha_type_a", "captcha_type_b", "other"]
TYPE_A, TYPE_B, OTHER = range(3)


@pytest.fixture
def recognizer(tmp_path: Path) -> Recognizer:
    readers = {
        "captcha_type_a": Reader(write_reader(tmp_path / "a", version=3)),
        "captcha_type_b": Reader(write_reader(tmp_path / "b", slug="captcha_type_b", arithmetic=True)),
    }
    general = Reader(write_reader(tmp_path / "general", slug="general", min_confidence=0.5))
    return Recognizer(TypeClassifier(write_types(tmp_path / "types", LABELS)), readers, general)


def upload(text: str, type_index: int = TYPE_A) -> bytes:
    return png(picture(text, type_index=type_index))


def refusal(recognizer: Recognizer, data: bytes, **hints: object) -> Unsolvable:
    with pytest.raises(Unsolvable) as caught:
        recognizer.recognize(data, **hints)  # type: ignore[arg-type]
    return caught.value


def test_the_type_decides_the_reader(recognizer: Recognizer) -> None:
    recognition = recognizer.recognize(upload("2AC"))
    assert (recognition.text, recognition.answer) == ("2AC", "2AC")
    assert recognition.captcha_type == "captcha_type_a"
    assert recognition.model_version == "captcha_type_a/3"
    assert recognition.type_confidence > 0.99
    assert recognition.confidence > 0.99
    assert [character.char for character in recognition.characters] == list("2AC")


def test_a_sum_is_computed(recognizer: Recognizer) -> None:
    recognition = recognizer.recognize(upload("33+2=?", TYPE_B))
    assert (recognition.text, recognition.answer) == ("33+2=?", "35")
    assert recognition.captcha_type == "captcha_type_b"


def test_no_known_type_goes_to_the_general_reader(recognizer: Recognizer) -> None:
    recognition = recognizer.recognize(upload("abC", OTHER))
    assert (recognition.text, recognition.captcha_type) == ("abC", "general")
    assert recognition.model_version == "general/1"


def test_the_general_reader_computes_what_asks_for_it(recognizer: Recognizer) -> None:
    assert recognizer.recognize(upload("3+4=?", OTHER)).answer == "7"
    assert recognizer.recognize(upload("3+4", OTHER)).answer == "3+4"
    assert recognizer.recognize(upload("3+4", OTHER), constraints=Constraints(math=True)).answer == "7"
    spelled = recognizer.recognize(upload("3+4=?", OTHER), constraints=Constraints(min_length=5))
    assert spelled.answer == "3+4=?"


def test_the_callers_type_overrides_the_type_model(recognizer: Recognizer) -> None:
    recognition = recognizer.recognize(upload("2+2=?", TYPE_A), captcha_type="captcha_type_b")
    assert (recognition.captcha_type, recognition.answer) == ("captcha_type_b", "4")
    assert recognition.type_confidence == 1
    assert recognizer.recognize(upload("2A", TYPE_A), captcha_type="general").captcha_type == "general"


def test_an_unknown_type_has_no_reader(recognizer: Recognizer) -> None:
    refused = refusal(recognizer, upload("2A"), captcha_type="captcha_type_z")
    assert refused.code == "no_reader"
    assert refused.reason.startswith("no reader for this type")


def test_without_a_general_reader_other_types_have_none(recognizer: Recognizer) -> None:
    alone = Recognizer(recognizer.types, recognizer.readers, None)
    assert refusal(alone, upload("2A", OTHER)).code == "no_reader"


def test_without_a_type_model_the_general_reader_reads_all(recognizer: Recognizer) -> None:
    general = Recognizer(None, recognizer.readers, recognizer.general)
    assert general.recognize(upload("2A", TYPE_A)).captcha_type == "general"


@pytest.mark.parametrize("type_index", [TYPE_A, TYPE_B, OTHER])
def test_a_picture_without_text_is_no_captcha(recognizer: Recognizer, type_index: int) -> None:
    assert refusal(recognizer, upload("", type_index)).code == "not_a_captcha"
    hinted = refusal(recognizer, upload("", type_index), constraints=Constraints(min_length=3))
    assert hinted.code == "not_a_captcha"


def test_a_length_that_cannot_be_is_said(recognizer: Recognizer) -> None:
    refused = refusal(recognizer, upload("2ACB1"), constraints=Constraints(4, 4))
    assert refused.code == "constraints"
    assert refused.reason == "length 4 excludes every reading"


def test_hints_on_a_sum_hold_for_its_value(recognizer: Recognizer) -> None:
    data = upload("9+3=?", TYPE_B)
    assert recognizer.recognize(data, constraints=Constraints(2, 2, "digits")).answer == "12"
    refused = refusal(recognizer, data, constraints=Constraints(max_length=1))
    assert (refused.code, refused.reason) == ("constraints", "length 1 or less excludes the answer 12")


def test_a_sum_without_value_is_said(recognizer: Recognizer) -> None:
    assert refusal(recognizer, upload("3+", TYPE_B)).code == "arithmetic"
    assert refusal(recognizer, upload("ABC", OTHER), constraints=Constraints(math=True)).code == "arithmetic"


def test_below_the_callers_confidence_is_refused(tmp_path: Path) -> None:
    unsure = Reader(write_reader(tmp_path / "1", logits_scale=6, min_confidence=0.1))
    alone = Recognizer(None, {"captcha_type_a": unsure}, None)
    data = upload("2A")
    confidence = alone.recognize(data, captcha_type="captcha_type_a").confidence
    assert 0.1 < confidence < 0.9
    refused = refusal(alone, data, captcha_type="captcha_type_a", min_confidence=0.9)
    assert refused.code == "low_confidence"
    assert refused.reason == f"confidence {int(confidence * 100) / 100:.2f} < 0.90"


def test_the_models_own_confidence_stays_the_floor(tmp_path: Path) -> None:
    unsure = Reader(write_reader(tmp_path / "1", logits_scale=6, min_confidence=0.99))
    alone = Recognizer(None, {}, unsure)
    assert refusal(alone, upload("2A"), min_confidence=0.01).code == "low_confidence"


def test_a_reading_of_the_wrong_length_for_the_type_is_refused(tmp_path: Path) -> None:
    strict = Reader(write_reader(tmp_path / "1", min_length=5, max_length=5))
    refused = refusal(Recognizer(None, {}, strict), upload("2A"))
    assert (refused.code, refused.reason) == ("low_confidence", "no reading of length 5 is likely")


def test_models_may_want_different_sizes(tmp_path: Path) -> None:
    types = TypeClassifier(write_types(tmp_path / "types", LABELS))
    digits = Reader(write_reader(tmp_path / "1", alphabet=Alphabet("0123456789")))
    recognizer = Recognizer(types, {"captcha_type_a": digits}, None)
    data = png(picture("42", alphabet=digits.spec.alphabet, type_index=TYPE_A))
    assert recognizer.recognize(data).text == "42"


def test_every_stage_is_timed(recognizer: Recognizer) -> None:
    timings = recognizer.recognize(upload("2A")).timings_ms
    assert list(timings) == ["decode", "type", "read"]
    assert all(0 < milliseconds < 1000 for milliseconds in timings.values())


def test_bytes_that_are_no_picture_raise_the_images_error(recognizer: Recognizer) -> None:
    with pytest.raises(ImageError) as caught:
        recognizer.recognize(b"%PDF-1.7 not a picture")
    assert caught.value.code == "unsupported_format"


def test_the_callers_limits_hold(recognizer: Recognizer) -> None:
    with pytest.raises(ImageError) as caught:
        recognizer.recognize(upload("2A"), max_pixels=100)
    assert caught.value.code == "too_many_pixels"


def test_what_else_a_character_may_be_is_told_by_the_reader_that_read_it(recognizer: Recognizer) -> None:
    data = upload("1A2B3")
    recognition = recognizer.recognize(data)
    assert len(recognizer.alternatives(data, recognition)) == len(recognition.text)
    assert len(recognizer.columns(data, recognition)) == len(recognition.text)
    of_another = replace(recognition, model_version="captcha_type_a/99")
    assert recognizer.alternatives(data, of_another) == ()
    assert recognizer.columns(data, of_another) == ()
