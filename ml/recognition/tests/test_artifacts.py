"""The folder a model travels in: what is written reads back, and what is wrong is named."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ml.recognition.artifacts import (
    ArtifactError,
    ReaderSpec,
    TypesSpec,
    load_spec,
    model_file,
    parse_spec,
    trained_on,
    verify,
    write_checksums,
)
from ml.recognition.charset import Alphabet
from ml.recognition.images import InputSize

READER = ReaderSpec(
    slug="captcha_type_b",
    version=2,
    input=InputSize(height=32),
    alphabet=Alphabet("0123456789+=?×"),
    case_sensitive=False,
    min_length=5,
    max_length=6,
    arithmetic=True,
    temperature=1.25,
    min_confidence=0.5,
    dataset={"hash": "ab", "n_train": 80, "n_validation": 18},
    metrics={"exact_match": {"value": 1.0}},
    libraries={"keras": "3"},
    created="2025-01-01T00:00:00Z",
)
TYPES = TypesSpec(
    version=1,
    input=InputSize(),
    labels=("captcha_type_a", "other"),
    thresholds={"captcha_type_a": 0.9},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reader.onnx").write_bytes(b"weights")
    (tmp_path / "spec.json").write_text(READER.to_json(), encoding="utf-8")
    (tmp_path / "trained_on.txt").write_text("aa\nbb\n")
    write_checksums(tmp_path)
    return tmp_path


@pytest.mark.parametrize("spec", [READER, TYPES])
def test_a_spec_reads_back_as_it_was_written(spec: ReaderSpec | TypesSpec) -> None:
    assert parse_spec(spec.to_json()) == spec
    assert type(spec).from_json(spec.to_json()) == spec


def test_a_spec_names_its_model(folder: Path) -> None:
    assert READER.name == "captcha_type_b/2"
    assert TYPES.name == "types/1"
    assert (model_file(READER), model_file(TYPES)) == ("reader.onnx", "types.onnx")
    assert load_spec(folder) == READER
    assert json.loads(READER.to_json())["blank"] == 0


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("blank", 5, "blank must be 0"),
        ("kind", "writer", "kind must be reader or types"),
        ("alphabet", "AA", "more than once"),
        ("alphabet", None, "spec.json"),
        ("input", {"height": 0}, "input must be pixels"),
        ("input", {"depth": 1}, "depth"),
        ("version", 0, "version must be"),
        ("version", "1", "version must be"),
        ("slug", "../up", "slug must be"),
        ("temperature", 0, "temperature must be"),
        ("temperature", "hot", "temperature must be"),
        ("min_length", -1, "min_length must be"),
        ("min_confidence", 2, "min_confidence must be"),
        ("surprise", 1, "surprise"),
    ],
)
def test_a_wrong_field_of_a_reader_is_named(field: str, value: object, complaint: str) -> None:
    fields = json.loads(READER.to_json()) | {field: value}
    with pytest.raises(ArtifactError, match=complaint):
        parse_spec(json.dumps(fields))


@pytest.mark.parametrize("field", ["slug", "version", "input", "alphabet"])
def test_a_missing_field_is_named(field: str) -> None:
    fields = json.loads(READER.to_json())
    del fields[field]
    with pytest.raises(ArtifactError, match=field):
        parse_spec(json.dumps(fields))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [("labels", ["captcha_type_a"], "holds 'other'"), ("thresholds", {"x": 1}, "given for labels alone")],
)
def test_a_wrong_field_of_a_type_model_is_named(field: str, value: object, complaint: str) -> None:
    with pytest.raises(ArtifactError, match=complaint):
        parse_spec(json.dumps(json.loads(TYPES.to_json()) | {field: value}))


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_spec_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ArtifactError, match="not"):
        parse_spec(text)


def test_a_whole_folder_verifies(folder: Path) -> None:
    assert sorted(verify(folder)) == ["reader.onnx", "spec.json", "trained_on.txt"]
    assert trained_on(folder) == {"aa", "bb"}


def test_the_checksums_are_those_of_sha256sum(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "reader.onnx").write_bytes(b"weightz")
    with pytest.raises(ArtifactError, match=r"reader\.onnx is damaged"):
        verify(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "trained_on.txt").unlink()
    with pytest.raises(ArtifactError, match=r"trained_on\.txt is missing"):
        verify(folder)
    assert verify(folder, names=["reader.onnx", "spec.json"])
    with pytest.raises(ArtifactError, match=r"trained_on\.txt cannot be read"):
        trained_on(folder)


def test_an_unlisted_file_is_named(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"extra\.bin not listed"):
        verify(folder)
    with pytest.raises(ArtifactError, match=r"extra\.bin not listed"):
        verify(folder, names=["extra.bin"])


def test_a_file_above_the_limit_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="larger than 6 bytes"):
        verify(folder, max_bytes=6)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "reader.onnx"
    (folder / "reader.onnx").rename(outside)
    (folder / "reader.onnx").symlink_to(outside)
    with pytest.raises(ArtifactError, match=r"reader\.onnx is missing"):
        verify(folder)


@pytest.mark.parametrize("line", ["", "abc  reader.onnx", "a" * 64 + "  ../reader.onnx", "\ufffd"])
def test_a_wrong_line_of_checksums_is_refused(folder: Path, line: str) -> None:
    (folder / "SHA256SUMS").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="wrong line"):
        verify(folder)


def test_a_folder_without_checksums_is_refused(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(ArtifactError, match="SHA256SUMS cannot be read"):
        verify(folder)
    with pytest.raises(ArtifactError, match=r"spec\.json cannot be read"):
        load_spec(folder / "nowhere")
