"""Captchas drawn with given defences, so that what each of them is worth can be measured.

`draw` takes the text, the size and the set of defences. Every defence draws from a stream of random numbers
of its own, so two drawings of one seed differ in the defence that was added and in nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ml.recognition.synthesis import clutter, colours, fonts, glyphs, warps

DEFENCES = {
    "rotation": "each character turned by up to 25°",
    "touching": "characters that touch or overlap",
    "warp": "the text bent by waves and bulges",
    "lines": "lines and curves across the text",
    "dots": "a snowfall of dots",
    "background": "a pattern behind the text",
    "colour": "every character in a colour of its own, on coloured paper",
    "contrast": "pale ink on pale paper",
    "fonts": "another font for every character",
}
"""What each defence does, in words for the owner."""

_FACES = 8
_INK_HEIGHT = 0.6
"""Height of a capital's line as a share of the picture's."""


def draw(seed: int, text: str, size: tuple[int, int], defences: Collection[str] = ()) -> Image.Image:
    """An RGB picture of `size` (width, height) with `text` under the named `defences`.

    Raises:
        ValueError: a defence that DEFENCES does not name.
        NoFonts: the machine has none.
    """
    unknown = sorted(set(defences) - set(DEFENCES))
    if unknown:
        raise ValueError(f"no such defence: {', '.join(unknown)} (there are: {', '.join(DEFENCES)})")
    active = frozenset(defences)
    ink = _placed(_ink(seed, text, size, active), size)
    if "warp" in active:
        ink = warps.bend(_rng(seed, "warp"), ink, strength=0.8)
    ink_colours, paper = _colours(seed, len(text), active)
    page = np.broadcast_to(paper, (size[1], size[0], 3)).astype(np.float32)
    if "background" in active:
        # Under pale ink a strong pattern would hide the text from people as well.
        page = _patterned(_rng(seed, "background"), page, paper, 0.2 if "contrast" in active else 1.0)
    layer = np.stack([*ink_colours, ink_colours[0]])[ink.owner]
    page = page + (layer - page) * ink.mask[..., None]
    image = Image.fromarray((np.clip(page, 0, 1) * 255 + 0.5).astype(np.uint8))
    if "lines" in active:
        _lines(_rng(seed, "lines"), image, ink_colours)
    if "dots" in active:
        _dots(_rng(seed, "dots"), image, ink_colours)
    return image


def random_text(seed: int, alphabet: str, lengths: tuple[int, int]) -> str:
    """A text of the type: characters of `alphabet`, as many as `lengths` (shortest, longest) allow."""
    rng = _rng(seed, "text")
    count = int(rng.integers(lengths[0], lengths[1] + 1))
    return "".join(alphabet[i] for i in rng.integers(0, len(alphabet), count))


def _ink(seed: int, text: str, size: tuple[int, int], active: frozenset[str]) -> glyphs.Ink:
    rng = _rng(seed, "typesetting")
    faces = _faces()
    setting = glyphs.Typesetting(
        font=faces[int(rng.integers(0, len(faces)))],
        size=max(8, int(size[1] * _INK_HEIGHT)),
        fonts_vary="fonts" in active,
        rotation=25.0 if "rotation" in active else 0.0,
        spacing=0.12,
        touch=-0.06 if "touching" in active else None,
        margins=(0.0, 0.0, 0.0, 0.0),
    )
    return glyphs.typeset(_rng(seed, "glyphs"), text, setting)


def _placed(ink: glyphs.Ink, size: tuple[int, int]) -> glyphs.Ink:
    """The ink in the middle of a sheet of `size`, made smaller where it would not fit."""
    width, height = size
    rows, columns = ink.mask.shape
    factor = min(1.0, 0.94 * width / columns, 0.92 * height / rows)
    scaled = (max(1, int(columns * factor)), max(1, int(rows * factor)))
    mask = Image.fromarray((ink.mask * 255).astype(np.uint8)).resize(scaled, Image.Resampling.BILINEAR)
    owner = Image.fromarray((ink.owner + 1).astype(np.uint8)).resize(scaled, Image.Resampling.NEAREST)
    at = ((width - scaled[0]) // 2, (height - scaled[1]) // 2)
    sheet, owners = Image.new("L", size), Image.new("L", size)
    sheet.paste(mask, at)
    owners.paste(owner, at)
    return glyphs.Ink(np.asarray(sheet, np.float32) / 255.0, np.asarray(owners).astype(np.int8) - 1)


def _colours(seed: int, count: int, active: frozenset[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """One ink for each character, and the paper; each (3,) float32."""
    rng = _rng(seed, "colour")
    if "colour" in active:
        paper = colours.light(rng)
        inks = [colours.dark(rng) for _ in range(count)]
    else:
        paper = np.ones(3, np.float32)
        inks = [np.full(3, 0.1, np.float32)] * count
    if "contrast" in active:
        strength = _rng(seed, "contrast").uniform(0.12, 0.28)
        inks = [paper + (ink - paper) * np.float32(strength) for ink in inks]
    return inks, paper


def _patterned(rng: np.random.Generator, page: np.ndarray, paper: np.ndarray, strength: float) -> np.ndarray:
    """Rings, stripes or waves between the paper's colour and another."""
    height, width = page.shape[:2]
    pattern = clutter.stripes(rng, height, width)[..., None]
    other = np.clip(paper - strength * rng.uniform(0.15, 0.5, 3), 0, 1).astype(np.float32)
    patterned: np.ndarray = page + (other - page) * pattern
    return patterned


def _lines(rng: np.random.Generator, image: Image.Image, inks: list[np.ndarray]) -> None:
    """Two to four lines and one curve from rim to rim, in the ink's colour."""
    pen = ImageDraw.Draw(image)
    thick = max(1, image.height // 22)
    for _ in range(int(rng.integers(2, 5))):
        y0, y1 = rng.uniform(0.1, 0.9, 2) * image.height
        pen.line((0, y0, image.width, y1), fill=_rgb(inks[int(rng.integers(0, len(inks)))]), width=thick)
    xs = np.linspace(0, image.width, 32)
    phase, period = rng.uniform(0, 6.3), rng.uniform(0.6, 1.6) * image.width
    ys = image.height * (0.5 + 0.25 * np.sin(phase + xs * 6.283 / period))
    pen.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=_rgb(inks[0]), width=thick)


def _dots(rng: np.random.Generator, image: Image.Image, inks: list[np.ndarray]) -> None:
    """Dots on about 4 % of the picture."""
    pen = ImageDraw.Draw(image)
    side = max(1, image.height // 40)
    count = int(0.04 * image.width * image.height / side**2)
    for x, y in rng.integers(0, (image.width, image.height), (count, 2)).tolist():
        ink = inks[int(rng.integers(0, len(inks)))]
        pen.rectangle((x, y, x + side - 1, y + side - 1), fill=_rgb(ink))


@cache
def _faces() -> tuple[Path, ...]:
    """A few upright faces, the same on every call: evenly over those there are."""
    files = fonts.serif_files()
    step = max(1, len(files) // _FACES)
    return files[::step][:_FACES]


def _rng(seed: int, stage: str) -> np.random.Generator:
    return np.random.default_rng((seed, *stage.encode()))


def _rgb(colour: np.ndarray) -> clutter.Colour:
    r, g, b = (np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return r, g, b
