"""Glyphs: a text laid out as ink on a canvas, one character after the other."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from ml.recognition.synthesis import fonts

# Shapes an issuer may print for one and the same character of the alphabet.
WRITTEN = {"×": ("×", "×", "x"), "-": ("-", "–", "\N{MINUS SIGN}"), "÷": ("÷", "÷", ":")}

# Overlapping, usual and wide, as shares of the font size.
_SPACINGS = ((-0.22, 0.0), (0.0, 0.2), (0.2, 0.9))


@dataclass(frozen=True)
class Typesetting:
    """How a text is set. Sizes in pixels, angles in degrees, spacing as a share of the font size."""

    font: Path
    size: int
    fonts_vary: bool = False
    size_jitter: float = 0.0
    rotation: float = 0.0
    slope: float = 0.0
    zigzag: float = 0.0
    """Degrees that the characters lean to the left and to the right in turn."""
    baseline_jitter: float = 0.0
    baseline_wave: float = 0.0
    baseline_zigzag: float = 0.0
    """How far the characters stand above and below the line in turn, as a share of the size."""
    spacing: float = 0.05
    spacing_jitter: float = 0.0
    touch: float | None = None
    """Gap between neighbours' ink, as a share of the size, in place of `spacing`; below 0 they merge."""
    stretch: float = 1.0
    shear: float = 0.0
    corners: float = 0.0
    """How far the corners of a character's box are pulled about, as a share of the size."""
    outline: int = 0
    stroke: int = 0
    """Pixels by which every stroke is thickened."""
    aliased: bool = False
    """Drawn in whole pixels, as old libraries do."""
    margins: tuple[float, float, float, float] = (0.2, 0.1, 0.2, 0.1)
    """Left, top, right and bottom of the ink."""
    width: int | None = None


@dataclass
class Ink:
    """What is written: `mask` (h, w) float32 in [0, 1], and which character a pixel belongs to.

    `owner` (h, w) int8: the index of the character whose ink is uppermost, -1 where there is none.
    """

    mask: np.ndarray
    owner: np.ndarray


def typeset(rng: np.random.Generator, text: str, setting: Typesetting) -> Ink:
    """Lay `text` out; the canvas takes the size that ink and margins need."""
    glyphs = [_glyph(rng, character, index, setting) for index, character in enumerate(text)]
    lefts, tops = _places(rng, glyphs, setting)
    boxes = [glyph.getbbox() or (0, 0, 1, 1) for glyph in glyphs]
    ink_width = max(left + glyph.width for left, glyph in zip(lefts, glyphs, strict=True))
    ink_top = min(top + box[1] for top, box in zip(tops, boxes, strict=True))
    ink_height = max(top + box[3] for top, box in zip(tops, boxes, strict=True)) - ink_top
    left_margin, top_margin, right_margin, bottom_margin = (int(m * setting.size) for m in setting.margins)
    width = max(16, ink_width + left_margin + right_margin)
    height = max(10, ink_height + top_margin + bottom_margin)
    mask = Image.new("L", (width, height))
    owner = np.full((height, width), -1, np.int8)
    for index, (glyph, left, top) in enumerate(zip(glyphs, lefts, tops, strict=True)):
        x, y = left + left_margin, top - ink_top + top_margin
        box = (x, y, x + glyph.width, y + glyph.height)
        mask.paste(ImageChops.lighter(mask.crop(box), glyph), box)
        inked = np.asarray(glyph) > 60
        region = owner[max(y, 0) : y + glyph.height, max(x, 0) : x + glyph.width]
        clipped = inked[max(-y, 0) :, max(-x, 0) :][: region.shape[0], : region.shape[1]]
        region[clipped] = index
    return Ink(np.asarray(mask, np.float32) / 255.0, owner)


def _glyph(rng: np.random.Generator, character: str, index: int, setting: Typesetting) -> Image.Image:
    """One character as an "L" image, cut to its advance box, rotated and stretched."""
    size = max(7, int(setting.size * (1 + setting.size_jitter * rng.uniform(-1, 1))))
    path = setting.font
    if setting.fonts_vary:
        choices = fonts.font_files()
        path = choices[int(rng.integers(0, len(choices)))]
    shape = character
    if character in WRITTEN:
        shape, path = _operator(rng, character, path)
    image = _drawn(shape, fonts.load(path, size), size, setting)
    smooth = Image.Resampling.NEAREST if setting.aliased else Image.Resampling.BILINEAR
    if setting.outline:
        image = _outlined(image, setting.outline)
    if setting.stretch != 1.0:
        image = image.resize((max(3, int(image.width * setting.stretch)), image.height), smooth)
    if setting.shear:
        image = _sheared(image, setting.shear, smooth)
    if setting.corners:
        image = _pulled(rng, image, setting.corners * size, smooth)
    lean = setting.zigzag * (1 if index % 2 else -1)
    angle = setting.slope + lean + setting.rotation * rng.uniform(-1, 1)
    if abs(angle) > 1:
        turned = Image.Resampling.NEAREST if setting.aliased else Image.Resampling.BICUBIC
        image = image.rotate(angle, turned, expand=True)
    box = image.getbbox()
    if box is None:
        return image
    return image.crop((box[0], 0, box[2], image.height))


def _drawn(shape: str, font: ImageFont.FreeTypeFont, size: int, setting: Typesetting) -> Image.Image:
    left, _, right, _ = font.getbbox(shape)
    pad = 2 + setting.outline + setting.stroke
    width = max(1, int(right - left))
    image = Image.new("L", (width + 2 * pad, size + size // 3 + 2 * pad))
    pen = ImageDraw.Draw(image)
    if setting.aliased:
        pen.fontmode = "1"
    # Everything keeps its place relative to the line, so that `-` stays in the middle and `q` below it.
    pen.text((pad - left, pad), shape, font=font, fill=255, stroke_width=setting.stroke)
    return image


def _operator(rng: np.random.Generator, character: str, path: Path) -> tuple[str, Path]:
    """The shape to print for an operator, and a font that has it: many lack × and ÷."""
    shapes = [shape for shape in WRITTEN[character] if fonts.draws(path, shape)]
    if not shapes:
        return character, next(other for other in fonts.font_files() if fonts.draws(other, character))
    return shapes[int(rng.integers(0, len(shapes)))], path


def _places(
    rng: np.random.Generator, glyphs: list[Image.Image], setting: Typesetting
) -> tuple[list[int], list[int]]:
    """The left and top of each glyph."""
    tops = _tops(rng, glyphs, setting)
    if setting.touch is not None:
        return _touching(glyphs, tops, int(setting.touch * setting.size)), tops
    natural = sum(glyph.width for glyph in glyphs)
    gap = setting.spacing * setting.size
    if setting.width is not None and len(glyphs) > 1:
        gap = max(-0.2 * setting.size, (setting.width - natural) / (len(glyphs) - 1))
    left, lefts = 0.0, []
    for glyph in glyphs:
        lefts.append(int(left))
        left += max(
            0.25 * glyph.width, glyph.width + gap + setting.spacing_jitter * setting.size * rng.uniform(-1, 1)
        )
    return lefts, tops


def _tops(rng: np.random.Generator, glyphs: list[Image.Image], setting: Typesetting) -> list[int]:
    phase, period = rng.uniform(0, 6.3), rng.uniform(1.5, 5)
    tops = []
    for index, glyph in enumerate(glyphs):
        wave = np.sin(phase + index * 6.283 / period) * setting.baseline_wave
        turn = setting.baseline_zigzag * (1 if index % 2 else -1)
        rise = (wave + turn + setting.baseline_jitter * rng.uniform(-1, 1)) * setting.size
        tops.append(int(rise - glyph.height / 2))
    return tops


def _touching(glyphs: list[Image.Image], tops: list[int], gap: int) -> list[int]:
    """Lefts at which each glyph's ink comes within `gap` pixels of the one before."""
    first, last = min(tops), max(top + glyph.height for top, glyph in zip(tops, glyphs, strict=True))
    inks = []
    for glyph, top in zip(glyphs, tops, strict=True):
        ink = np.zeros((last - first, glyph.width), bool)
        ink[top - first : top - first + glyph.height] = np.asarray(glyph) > 100
        inks.append(ink)
    lefts = [0]
    for before, after in pairwise(inks):
        # Ink ends and begins here in each row; rows without ink are far away.
        end = np.where(before.any(1), before.shape[1] - before[:, ::-1].argmax(1), -(10**4))
        begin = np.where(after.any(1), after.argmax(1), 10**4)
        # A row above or below counts too: strokes that pass each other diagonally touch.
        end = np.maximum.reduce([end, np.roll(end, 1), np.roll(end, -1)])
        apart = int((begin - end).min())
        step = gap - apart if apart < 10**3 else before.shape[1]
        lefts.append(lefts[-1] + max(step, before.shape[1] // 4, 2))
    return lefts


def _outlined(image: Image.Image, thickness: int) -> Image.Image:
    grown = image.filter(ImageFilter.MaxFilter(2 * thickness + 1))
    return ImageChops.subtract(grown, image)


def _pulled(
    rng: np.random.Generator, image: Image.Image, reach: float, smooth: Image.Resampling
) -> Image.Image:
    """The four corners of the box moved by up to `reach` pixels."""
    margin = int(reach) + 1
    padded = Image.new("L", (image.width + 2 * margin, image.height))
    padded.paste(image, (margin, 0))
    w, h = padded.size
    moved = [
        float(at + shift)
        for at, shift in zip((0, 0, 0, h, w, h, w, 0), rng.uniform(-reach, reach, 8), strict=True)
    ]
    return padded.transform((w, h), Image.Transform.QUAD, moved, smooth)


def _sheared(image: Image.Image, shear: float, smooth: Image.Resampling) -> Image.Image:
    extra = int(abs(shear) * image.height)
    offset = -extra if shear > 0 else 0
    return image.transform(
        (image.width + extra, image.height),
        Image.Transform.AFFINE,
        (1, shear, offset, 0, 1, 0),
        smooth,
    )


def random_typesetting(rng: np.random.Generator, *, length: int) -> Typesetting:
    """A setting over the whole range of what issuers do, from plain to hardly legible."""
    files = fonts.font_files()
    plain = rng.random() < 0.2
    aliased = bool(rng.random() < 0.16)
    setting = Typesetting(
        font=files[int(rng.integers(0, len(files)))],
        size=int(np.exp(rng.uniform(np.log(13), np.log(26 if aliased else 56)))),
        fonts_vary=bool(rng.random() < 0.3),
        spacing=float(rng.uniform(*_SPACINGS[rng.choice(3, p=[0.35, 0.4, 0.25])])),
        aliased=aliased,
        margins=_margins(rng),
    )
    if length > 7:
        setting = replace(setting, spacing=min(setting.spacing, 0.3))
    if plain:
        return setting
    zigzag = rng.random() < 0.24
    return replace(
        setting,
        size_jitter=rng.uniform(0, 0.25) if rng.random() < 0.4 else 0.0,
        rotation=rng.uniform(3, 36) if rng.random() < 0.55 else 0.0,
        slope=rng.uniform(-18, 18) if rng.random() < 0.15 else 0.0,
        zigzag=rng.uniform(-24, 24) if zigzag else 0.0,
        baseline_jitter=rng.uniform(0, 0.28) if rng.random() < 0.45 else 0.0,
        baseline_wave=rng.uniform(0, 0.4) if rng.random() < 0.2 else 0.0,
        baseline_zigzag=rng.uniform(-0.16, 0.16) if zigzag else 0.0,
        spacing_jitter=rng.uniform(0, 0.15) if rng.random() < 0.5 else 0.0,
        touch=rng.uniform(-0.14, 0.05) if rng.random() < (0.6 if zigzag else 0.2) else None,
        stretch=rng.uniform(0.65, 1.7) if rng.random() < 0.35 else 1.0,
        shear=rng.uniform(-0.45, 0.45) if rng.random() < 0.25 else 0.0,
        corners=rng.uniform(0.03, 0.2) if rng.random() < 0.15 else 0.0,
        outline=1 if setting.size > 22 and rng.random() < 0.12 else 0,
        stroke=1 if rng.random() < (0.35 if aliased else 0.07) else 0,
    )


def _margins(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """From ink that fills the sheet to ink in the middle of a wide one; each side for itself."""
    widest = (0.08, 0.4, 1.1)
    left, right = (float(rng.uniform(0, widest[rng.choice(3, p=[0.25, 0.35, 0.4])])) for _ in range(2))
    top, bottom = (float(rng.uniform(0, widest[rng.choice(3, p=[0.4, 0.45, 0.15])])) for _ in range(2))
    return left, top, right, bottom
