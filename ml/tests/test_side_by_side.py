"""Two versions on the same images: what is stored of each image, who is better, and where they differ."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ml.models import Evaluation, JudgedImage, ModelVersion
from ml.recognition.datasets import hash_bytes
from ml.services import register_version
from ml.side_by_side import evaluations_of_both, side_by_side, sign_test
from ml.tests.artifacts import picture, write_reader, write_types
from ml.tests.conftest import Roots

NAMES = ("2KXQE.png", "2KXQE__2.png", "2KXQE__3.png", "9ABCD.png", "OTHER.png")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three that the serving reader reads right, one that the other does, one that neither does."""
    folder = tmp_path / "given"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(picture(number))
    return folder


@pytest.fixture
def versions(shipped: Roots) -> tuple[ModelVersion, ModelVersion]:
    """What serves, which reads 2KXQE everywhere, and a candidate that reads 9ABCD."""
    candidate = register_version(folder=write_reader(shipped.trained, "dark", 1001, text="9ABCD"))
    return ModelVersion.objects.get(slug="dark", version=1), candidate


def test_an_evaluation_keeps_what_was_read_of_each_image(
    versions: tuple[ModelVersion, ModelVersion], images: Path
) -> None:
    call_command("evaluate", "dark", "--images", str(images), verbosity=0)
    evaluation = Evaluation.objects.get()
    kept = {one.data_hash: one for one in evaluation.images.all()}
    assert set(kept) == {hash_bytes((images / name).read_bytes()) for name in NAMES}
    assert sum(one.right for one in kept.values()) == evaluation.right == 3
    assert {one.read for one in kept.values()} == {"2KXQE"}
    call_command("evaluate", "dark", "--images", str(images), verbosity=0)
    assert JudgedImage.objects.count() == len(NAMES)  # in place of those before


def test_any_two_versions_are_measured_together(
    versions: tuple[ModelVersion, ModelVersion], images: Path
) -> None:
    one, other = versions
    assert evaluations_of_both(one, other) == []
    call_command("evaluate", "dark", number=1, against=1001, images=[images], verbosity=0)
    found = side_by_side(*evaluations_of_both(one, other)[0])
    assert (found.both, found.one_alone, found.other_alone, found.neither) == (0, 3, 1, 1)
    assert len(found.differences) == 5
    assert found.differences[-1].truth == "OTHER"  # wrong for both comes last
    assert "dark/1 did better, but chance may have done it" in found.verdict
    with pytest.raises(CommandError, match="There is no dark/77"):
        call_command("evaluate", "dark", number=1, against=77, images=[images])


def test_a_data_set_whose_images_were_not_kept_is_not_compared(
    versions: tuple[ModelVersion, ModelVersion],
) -> None:
    for version in versions:
        Evaluation.objects.create(version=version, dataset_hash="a" * 64, n=9, right=8, ece=0, made_by="old")
    assert evaluations_of_both(*versions) == []


def test_type_models_are_compared_by_what_they_take_an_image_for(shipped: Roots, images: Path) -> None:
    write_types(shipped.trained, 1001, labels=("bright", "dark", "other"))
    register_version(folder=shipped.trained / "types" / "1001")
    dark = images.rename(images.with_name("dark"))
    call_command("evaluate", "types", number=1001, images=[dark], verbosity=0)
    versions = ModelVersion.objects.filter(slug="types").order_by("version")
    found = side_by_side(*evaluations_of_both(versions[0], versions[1])[0])
    assert (found.one_alone, found.other_alone) == (5, 0)
    assert {each.other.read for each in found.differences} == {"bright"}


@pytest.mark.parametrize(
    ("one", "other", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (3, 3, 1.0)]
)
def test_the_sign_test_is_exact(one: int, other: int, p: float) -> None:
    assert sign_test(one, other) == sign_test(other, one) == pytest.approx(p)


def test_thousands_of_differences_are_no_overflow() -> None:
    assert sign_test(3000, 1000) < 1e-100


def judged(evaluation: Evaluation, *right: bool) -> None:
    JudgedImage.objects.bulk_create(
        JudgedImage(
            evaluation=evaluation,
            data_hash=f"{n:064x}",
            truth="A",
            read="A" if ok else "B",
            confidence=1,
            right=ok,
        )
        for n, ok in enumerate(right)
    )


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ([True] * 9, [True] * 9, "No difference"),
        ([True, False], [False, True], "Neither is better: each alone reads 1"),
        (
            [True] * 8,
            [False] * 8,
            "dark/1 is better: of the images that one alone reads right, 8 are",
        ),
        ([False] * 8, [True] * 8, "dark/1001 is better"),
    ],
)
def test_the_verdict_says_what_it_rests_on(
    versions: tuple[ModelVersion, ModelVersion], one: list[bool], other: list[bool], words: str
) -> None:
    for version, right in zip(versions, (one, other), strict=True):
        row = Evaluation.objects.create(
            version=version, dataset_hash="a" * 64, n=len(right), right=sum(right), ece=0, made_by="a test"
        )
        judged(row, *right)
    assert side_by_side(*evaluations_of_both(*versions)[0]).verdict.startswith(words)
