"""Which columns a character was read from: on scripted frames, and on pictures with known places."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ml.recognition.alignment import Columns, columns_of, frames_of
from ml.recognition.charset import BLANK
from ml.recognition.decoding import collapse, log_softmax
from ml.recognition.looks import PLAIN, Look
from ml.recognition.reader import Reader
from ml.recognition.tests.artifact_factory import WIDTH, picture, write_reader

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


@given(seed=st.integers(0, 2**32), frames=st.integers(1, 24), classes=st.integers(2, 5))
def test_a_greedy_text_is_seen_where_the_greedy_path_writes_it(seed: int, frames: int, classes: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (frames, classes))
    path = logits.argmax(axis=1).tolist()
    runs, frame = [], 0
    for index, run in groupby(path):
        length = len(list(run))
        if index != BLANK:
            runs.append(range(frame, frame + length))
        frame += length
    assert frames_of(log_softmax(logits), collapse(path)) == runs


@given(seed=st.integers(0, 2**32), labels=st.lists(st.integers(1, 3), min_size=1, max_size=5))
def test_any_text_that_fits_has_its_characters_in_order(seed: int, labels: list[int]) -> None:
    frames = 2 * len(labels)
    seen = frames_of(log_softmax(np.random.default_rng(seed).normal(0, 3, (frames, 4))), labels)
    assert len(seen) == len(labels)
    assert all(one for one in seen)
    for before, after, label, follower in zip(seen, seen[1:], labels, labels[1:], strict=False):
        assert after.start >= before.stop + (label == follower)  # a twin needs a blank between


def test_a_text_too_long_for_the_frames_is_seen_nowhere() -> None:
    assert frames_of(np.log(np.full((2, 3), 1 / 3)), [1, 1]) == []
    assert frames_of(np.log(np.full((2, 3), 1 / 3)), []) == []


def test_paper_beside_the_picture_is_none_of_its_columns() -> None:
    # A picture of 100 × 50 on paper of 10 more on each side, in 12 frames of 10 pixels each.
    look = Look(margin=0.2)
    first, middle, last = columns_of([range(2), range(6, 7), range(11, 12)], 12, look, 100, 50)
    assert [first.left, first.right] == pytest.approx([0.0, 0.1])
    assert [middle.left, middle.right] == pytest.approx([0.5, 0.6])
    assert last == Columns(1.0, 1.0)
    assert columns_of([range(3, 6)], 12, PLAIN, 100, 50) == (Columns(0.25, 0.5),)


def test_a_reader_tells_the_columns_whatever_the_case(tmp_path: Path) -> None:
    reader = Reader(write_reader(tmp_path / "1", case_sensitive=False))
    columns = reader.columns(picture("A1b"), "a1B")
    assert columns == tuple(Columns((1 + 3 * n) / WIDTH, (3 + 3 * n) / WIDTH) for n in range(3))
    assert reader.columns(picture("A1b"), "Z") == ()  # it writes no Z
    assert reader.columns(picture("A1b"), "") == ()


@pytest.mark.parametrize("text", ["K7M4", "2KXQE", "HTAW"])
def test_the_general_reader_looks_at_the_characters_that_it_names(text: str) -> None:
    newest = max((ARTIFACTS / "general").iterdir(), key=lambda folder: int(folder.name))
    image, font = Image.new("RGB", (300, 60), "white"), ImageFont.load_default(40)
    spans, x = [], 20
    for character in text:
        left, _, right, _ = ImageDraw.Draw(image).textbbox((x, 8), character, font=font)
        ImageDraw.Draw(image).text((x, 8), character, "black", font)
        spans.append((left, right))
        x = int(right) + 18
    columns = Reader(newest).columns(image, text)
    middles = [(one.left + one.right) / 2 * image.width for one in columns]
    assert len(middles) == len(text)
    assert all(left <= middle <= right for middle, (left, right) in zip(middles, spans, strict=True))
