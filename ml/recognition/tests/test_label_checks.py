"""What is said of labelled images before anything is trained on them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ml.recognition.datasets import Example, load_folder
from ml.recognition.label_checks import Finding, check_labels, errors, usable
from ml.recognition.tests.artifact_factory import picture, png


def labelled(*labels: str) -> list[Example]:
    """Examples of different bytes with these labels; there are no files."""
    return [Example(Path(f"{i}.png"), f"{i:064x}", label) for i, label in enumerate(labels)]


def by_code(findings: list[Finding]) -> Mapping[str, Finding]:
    return {finding.code: finding for finding in findings}


def test_good_labels_are_not_complained_of() -> None:
    assert check_labels(labelled(*(f"{i % 10}{(i + 3) % 10}{(i * 7) % 10}" for i in range(10)))) == []


def test_too_few_is_an_error_with_the_number_needed() -> None:
    finding = errors(check_labels(labelled("ABC", "BCA", "CAB")))[0]
    assert (finding.code, finding.count) == ("too_few", 3)
    assert str(finding) == "3 images with a label are too few: 10 or more are needed"


def test_equal_labels_are_an_error() -> None:
    findings = by_code(check_labels(labelled(*["SAME"] * 12)))
    assert findings["all_equal"].level == "error"
    assert "repeated_label" not in findings


@pytest.mark.parametrize(("odd", "reported"), [(1, 1), (2, 2), (5, None)])
def test_a_wrong_length_is_one_that_few_labels_have(odd: int, reported: int | None) -> None:
    labels = [f"{i:05d}" for i in range(20 - odd)] + [f"{i:04d}" for i in range(odd)]
    finding = by_code(check_labels(labelled(*labels))).get("length")
    assert (finding.count if finding else None) == reported


def test_a_character_seen_once_is_named_in_any_case() -> None:
    findings = by_code(check_labels(labelled(*["abab"] * 5, *["BABA"] * 5, "aBZA")))
    assert findings["seen_once"].named == ("Z",)
    findings = by_code(check_labels(labelled(*["abab"] * 10, "abaz", "abaz")))
    assert "seen_once" not in findings


def test_two_images_with_one_label_are_fine_and_counted() -> None:
    findings = check_labels(labelled(*["ABAB", "BABA"] * 6))
    assert [(f.code, f.level, f.count) for f in findings] == [("repeated_label", "note", 2)]


def test_characters_that_nobody_writes_are_named() -> None:
    findings = by_code(check_labels(labelled(*["ЖA A"] * 6, *["AЖA "] * 6)))
    assert findings["foreign"].named == ("Ж",)
    assert findings["space"].count == 12


def test_broken_files_and_two_labels_for_one_image_are_listed_and_left_out(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"1{number}2.png").write_bytes(png(picture(f"1{number}2")))
    (tmp_path / "BROKE.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "999.png").write_bytes((tmp_path / "102.png").read_bytes())
    kept, findings = usable(load_folder(tmp_path))
    assert sorted(example.label for example in kept) == [f"1{number}2" for number in range(1, 10)]
    found = by_code(findings)
    assert found["broken"].count == 1
    assert "BROKE.png" in str(found["broken"])
    assert found["conflict"].count == 1
    assert "102 ≠ 999" in str(found["conflict"])
    assert found["too_few"].count == 9


def test_one_image_twice_under_one_label_is_a_note() -> None:
    twice = [*labelled(*(f"{i:03d}" for i in range(12)))]
    twice.append(Example(Path("copy.png"), twice[0].data_hash, twice[0].label))
    kept, findings = usable(twice, decode=False)
    assert len(kept) == 13
    assert by_code(findings)["repeated_image"].named == ("0.png = copy.png",)
