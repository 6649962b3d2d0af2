"""Frozen data sets: their content never changes, and training reads them as they are."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from labeling import datasets
from labeling.importing import Options, import_files
from labeling.models import Dataset, Sample
from labeling.tests.conftest import drawn
from ml.models import CaptchaType
from ml.recognition.datasets import load_folder

Import = Callable[..., None]


@pytest.fixture
def imported(captcha_type: CaptchaType) -> Import:
    def take(**texts: str) -> None:
        rows = "".join(f"{text}.png,{text},{split}\n" for text, split in texts.items())
        table = ("labels.csv", f"filename,label,split\n{rows}".encode())
        files = [(f"{text}.png", drawn(text)) for text in texts]
        import_files(captcha_type=captcha_type, files=[*files, table], options=Options(trusted=True))

    return take


def test_training_sees_no_test_image(captcha_type: CaptchaType, imported: Import) -> None:
    imported(AB="train", AC="validation", AD="test")
    dataset, new = datasets.freeze(captcha_type=captcha_type)
    assert new
    folder = datasets.folder_of(dataset)
    assert {one.label for one in load_folder(folder)} == {"AB", "AC"}
    assert {one.label for one in load_folder(folder / "test")} == {"AD"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["content_hash"] == dataset.content_hash
    assert {(one["text"], one["split"]) for one in manifest["images"]} == {
        ("AB", "train"),
        ("AC", "validation"),
        ("AD", "test"),
    }
    assert datasets.problems(dataset) == []


def test_test_images_judge_a_training_where_they_are_enough(
    captcha_type: CaptchaType, imported: Import
) -> None:
    texts = [f"{a}{b}" for a in "ABCDE" for b in "FGHIJ"]
    imported(**dict.fromkeys(texts[:19], "test"))
    few, _ = datasets.freeze(captcha_type=captcha_type)
    imported(**dict.fromkeys(texts[19:21], "test"))
    enough, _ = datasets.freeze(captcha_type=captcha_type)
    assert datasets.judging_folders(few) == []
    assert datasets.judging_folders(enough) == [datasets.folder_of(enough) / "test"]


def test_the_same_content_is_frozen_once_and_another_gets_the_next_number(
    captcha_type: CaptchaType, imported: Import
) -> None:
    imported(AB="train")
    first, _ = datasets.freeze(captcha_type=captcha_type)
    assert datasets.freeze(captcha_type=captcha_type) == (first, False)
    imported(AC="test")
    assert datasets.change_since(first) == datasets.Change(added=1, removed=0, retexted=0, moved=0)
    second, new = datasets.freeze(captcha_type=captcha_type)
    assert (second.number, new) == (2, True)
    assert second.content_hash != first.content_hash
    assert len(datasets.read_manifest(first)) == 1


def test_a_change_of_a_frozen_folder_is_noticed(captcha_type: CaptchaType, imported: Import) -> None:
    imported(AB="train", AC="train")
    dataset, _ = datasets.freeze(captcha_type=captcha_type)
    image, other = sorted((datasets.folder_of(dataset) / "images").iterdir())
    assert image.stat().st_mode & 0o222 == 0
    image.chmod(0o644)
    image.write_bytes(drawn())
    other.unlink()
    assert datasets.problems(dataset) == [
        f"images/{image.name} was changed",
        f"images/{other.name} is missing",
    ]


def test_twins_never_lie_on_both_sides(captcha_type: CaptchaType, imported: Import) -> None:
    imported(AB="train", AC="test")
    Sample.objects.filter(text="AC").update(text="AB")  # as two people at the same moment can bring about
    dataset, _ = datasets.freeze(captcha_type=captcha_type)
    assert {entry.split for entry in datasets.read_manifest(dataset)} == {"train"}


def test_a_damaged_image_is_not_frozen_and_leaves_nothing_behind(
    captcha_type: CaptchaType, imported: Import, settings: object
) -> None:
    imported(AB="train")
    Path(Sample.objects.get().image.path).write_bytes(b"damaged")
    with pytest.raises(datasets.CannotFreeze, match="damaged"):
        datasets.freeze(captcha_type=captcha_type)
    assert not Dataset.objects.exists()
    root = datasets.folder_of(Dataset(captcha_type=captcha_type, folder="shop"))
    assert list(root.iterdir()) == []


def test_the_facts_tell_what_is_missing(captcha_type: CaptchaType, imported: Import) -> None:
    imported(AB="train", ABC="test")
    facts = datasets.facts_of(captcha_type)
    assert facts["characters"] == {"A": 2, "B": 2, "C": 1}
    assert facts["lengths"] == {"2": 1, "3": 1}
    assert facts["unseen"].startswith("0123456789DEF")
    assert facts["splits"] == {"train": 1, "validation": 0, "test": 1}


def test_the_command_prints_the_folder(
    captcha_type: CaptchaType, imported: Import, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="no image with an agreed text"):
        call_command("freeze_dataset", "shop")
    imported(AB="train")
    call_command("freeze_dataset", "shop")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "shop 1: 1 images (1 train, 0 validation, 0 test)"
    assert (Path(told[1]) / "labels.csv").is_file()
