"""The marks on a picture: within it, in words as in figures, and none where nothing could be aligned."""

import base64
import io

import pytest
from PIL import Image

from ml.recognition.alignment import Columns
from solving.overlay import HEIGHT, NARROWEST, WIDEST, overlay


def image_of(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("size", [(200, 60), (40, 40), (30, 200), (1900, 1000), (700, 20)])
def test_any_picture_is_shown_in_a_usual_size_with_its_own_columns(size: tuple[int, int]) -> None:
    shown = overlay(image_of(*size), [("A", "sure"), ("B", "unsure")], [Columns(0, 0.25), Columns(0.5, 1)])
    assert shown is not None
    assert min(NARROWEST, shown.width) <= shown.width <= WIDEST
    first, second = shown.marks
    assert (first.x, second.x + second.width) == (0, shown.width)
    assert (first.first, first.last) == (0, size[0] // 4 - 1)
    assert second.last == size[0] - 1
    sent = Image.open(io.BytesIO(base64.b64decode(shown.picture.partition(",")[2])))
    assert sent.width <= max(size[0], WIDEST)
    assert shown.picture_height <= max(HEIGHT, NARROWEST / size[0] * size[1] + 1)


def test_characters_that_stand_close_are_named_in_two_rows() -> None:
    shown = overlay(
        image_of(200, 50), [(c, "sure") for c in "ABC"], [Columns(n / 50, n / 50) for n in (10, 11, 30)]
    )
    assert shown is not None
    low, high, alone = (mark.label_y for mark in shown.marks)
    assert low == alone
    assert high < low


def test_without_columns_there_is_none() -> None:
    assert overlay(image_of(200, 50), [("A", "sure")], []) is None
    assert overlay(image_of(200, 50), [("A", "sure")], [Columns(0, 1), Columns(0, 1)]) is None
