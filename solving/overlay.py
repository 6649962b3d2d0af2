"""Where in the picture each character was seen, as figures for an SVG of a template."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from ml.recognition.alignment import Columns
from ml.recognition.images import open_image

HEIGHT, WIDEST, NARROWEST = 120, 640, 240
"""Of the shown picture, in pixels: so high if that makes it neither wider nor narrower than these."""
ROW = 20
"""Height of a row of characters above the picture, and of their numbers below it."""
CLOSE = 18
"""Characters nearer than this stand in two rows."""


@dataclass(frozen=True)
class Mark:
    """The columns of one character; `first` and `last` are pixels of the picture as it was sent, from 0."""

    number: int
    char: str
    sureness: str
    x: float
    width: float
    middle: float
    label_y: float
    first: int
    last: int


@dataclass(frozen=True)
class Overlay:
    """The picture as a data address with the marks on it; lengths are of the SVG's view box."""

    picture: str
    width: int
    height: int
    top: int
    picture_height: int
    marks: tuple[Mark, ...]

    @property
    def numbers_y(self) -> int:
        return self.height - 4


def overlay(data: bytes, characters: Sequence[tuple[str, str]], columns: Sequence[Columns]) -> Overlay | None:
    """Of an image that was read; `characters` are (character, sureness). None where nothing was aligned."""
    if not columns or len(columns) != len(characters):
        return None
    image = open_image(data, max_bytes=len(data), max_pixels=sys.maxsize)  # it was let in before
    scale = min(max(HEIGHT / image.height, NARROWEST / image.width), WIDEST / image.width)
    width, picture_height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    top = 2 * ROW
    marks: list[Mark] = []
    for number, ((char, sureness), one) in enumerate(zip(characters, columns, strict=True), start=1):
        left, right = one.left * width, one.right * width
        middle = (left + right) / 2
        before = marks[-1] if marks else None
        raised = before is not None and middle - before.middle < CLOSE and before.label_y > ROW
        marks.append(
            Mark(
                number=number,
                char=char,
                sureness=sureness,
                x=round(left, 1),
                width=round(max(right - left, 1.0), 1),
                middle=round(middle, 1),
                label_y=ROW - 4 if raised else top - 4,
                first=min(int(one.left * image.width), image.width - 1),
                last=min(max(int(one.right * image.width) - 1, 0), image.width - 1),
            )
        )
    shown = image if scale >= 1 else image.resize((width, picture_height))
    return Overlay(
        picture=_as_address(shown),
        width=width,
        height=top + picture_height + ROW,
        top=top,
        picture_height=picture_height,
        marks=tuple(marks),
    )


def _as_address(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
