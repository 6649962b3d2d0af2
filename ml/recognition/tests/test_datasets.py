"""Labelled folders and their splits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.recognition.datasets import (
    DatasetError,
    Example,
    content_hash,
    hash_bytes,
    k_folds,
    label_of_name,
    load_folder,
    split,
)

examples_with_twins = st.lists(
    st.builds(
        lambda label, content: Example(Path(f"{label}__{content}.png"), hash_bytes(content.encode()), label),
        st.text("ABab", min_size=1, max_size=3),
        st.text("xyz", min_size=1, max_size=3),
    ),
    max_size=60,
)


def examples(count: int) -> list[Example]:
    return [Example(Path(f"{i}.png"), hash_bytes(str(i).encode()), f"L{i}") for i in range(count)]


def folder_with(tmp_path: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("2KXQE.jpeg", "2KXQE"),
        ("33+2=?.jpeg", "33+2=?"),
        ("ABC__2.png", "ABC"),
        ("a_b.gif", "a_b"),
        ("1.5.webp", "1.5"),
        ("E\u0301.bmp", "É"),
    ],
)
def test_the_file_name_is_the_label(name: str, label: str) -> None:
    assert label_of_name(name) == label


def test_a_folder_gives_its_images_in_order(tmp_path: Path) -> None:
    files = {"B.png": b"b", "A.jpeg": b"a", "notes.txt": b"no image", ".C.png": b"hidden"}
    loaded = load_folder(folder_with(tmp_path, **files))
    assert [(example.path.name, example.label) for example in loaded] == [("A.jpeg", "A"), ("B.png", "B")]
    assert loaded[0].data_hash == hash_bytes(b"a")


def test_a_table_of_labels_wins_over_names(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(b"one")
    (tmp_path / "labels.csv").write_text(
        "\ufefffilename,label,note\nimages/1.png,33/3=?,x\n", encoding="utf-8"
    )
    assert [example.label for example in load_folder(tmp_path)] == ["33/3=?"]


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (b"name,label\n1.png,A\n", "columns filename and label"),
        (b"", "columns filename and label"),
        (b"filename,label\n1.png\n", "line 2: filename and label must both"),
        (b"filename,label\n1.png,\n", "line 2: filename and label must both"),
        (b"filename,label\n1.png,A\n2.png,B\n", "line 3: there is no file 2.png"),
        (b"filename,label\n1.png,A\n1.png,B\n", "line 3: 1.png is listed twice"),
        (b"filename,label\n../1.png,A\n", "line 2: ../1.png lies outside"),
        (b"filename,label\n1.png,\xff\n", "not a readable UTF-8 CSV"),
    ],
)
def test_a_wrong_table_says_which_line(tmp_path: Path, table: bytes, complaint: str) -> None:
    folder_with(tmp_path, **{"1.png": b"one", "labels.csv": table})
    with pytest.raises(DatasetError, match=complaint):
        load_folder(tmp_path)


def test_a_folder_without_images_or_none_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no images"):
        load_folder(tmp_path)
    with pytest.raises(DatasetError, match="is not a folder"):
        load_folder(tmp_path / "nowhere")


def test_a_name_without_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="carries no label"):
        load_folder(folder_with(tmp_path, **{"__2.png": b"x"}))


def test_the_content_hash_knows_images_and_labels_alone() -> None:
    some = examples(3)
    moved = [Example(Path("elsewhere") / e.path, e.data_hash, e.label) for e in reversed(some)]
    relabelled = [Example(e.path, e.data_hash, "other") for e in some]
    assert content_hash(some) == content_hash(moved)
    assert content_hash(some) != content_hash(relabelled)
    assert content_hash(some) != content_hash(some[:2])


@given(examples_with_twins, st.integers(0, 5))
def test_twins_never_cross_and_nothing_is_lost(pool: list[Example], seed: int) -> None:
    try:
        parts = split(pool, [0.6, 0.4], seed)
    except DatasetError:
        return
    assert sorted(str(e) for part in parts for e in part) == sorted(map(str, pool))
    first, second = parts
    assert not {e.data_hash for e in first} & {e.data_hash for e in second}
    assert not {e.label.casefold() for e in first} & {e.label.casefold() for e in second}


def test_a_split_has_the_sizes_asked_for() -> None:
    assert [len(part) for part in split(examples(200), [0.8, 0.1, 0.1])] == [160, 20, 20]


def test_a_split_depends_on_content_and_seed_alone() -> None:
    pool = examples(50)
    again = split(pool[::-1], [0.5, 0.5], seed=1)
    assert split(pool, [0.5, 0.5], seed=1) == again
    assert split(pool, [0.5, 0.5], seed=2) != again


def test_a_part_that_would_be_empty_is_an_error() -> None:
    same_label = [Example(e.path, e.data_hash, "A") for e in examples(10)]
    with pytest.raises(DatasetError, match="cannot fill 2 parts"):
        split(same_label, [0.5, 0.5])


@pytest.mark.parametrize("fractions", [[], [0.5, 0.6], [1.2, -0.2]])
def test_fractions_must_share_out_the_whole(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split(examples(10), fractions)


def test_every_example_is_held_out_once() -> None:
    pool = examples(23)
    folds = k_folds(pool, 5)
    held_out = [example for _, part in folds for example in part]
    assert sorted(map(str, held_out)) == sorted(map(str, pool))
    for training, part in folds:
        assert len(part) in (4, 5)
        assert sorted(map(str, training + part)) == sorted(map(str, pool))


def test_one_fold_is_no_cross_validation() -> None:
    with pytest.raises(ValueError, match="at least 2 folds"):
        k_folds(examples(4), 1)
