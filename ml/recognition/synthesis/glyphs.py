"""Glyphs: a text laid out as ink on a canvas, one character after the other."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

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
    baseline_jitter: float = 0.0
    baseline_wave: float = 0.0
    spacing: float = 0.05
    spacing_jitter: float = 0.0
    stretch: float = 1.0
    shear: float = 0.0
    outline: int = 0
    margins: tuple[float, float, float, float] = (0.2, 0.1, 0.2, 0.1)
    width: int | None = None


@dataclass
class Ink:
    """What is written: `mask` (h, w) float32 in [0, 1], and which character a pixel belongs to.

    `owner` (h, w) int8: the index of the character whose ink is uppermost, -1 where there is none.
    """

    mask: np.ndarray
    owner: np.ndarray


def typeset(rng: np.random.Generator, text: str, setting: Typesetting) -> Ink:
    """Lay `text` out; the canvas takes the size that text and margins need."""
    glyphs = [_glyph(rng, character, setting) for character in text]
    lefts, tops = _places(rng, glyphs, setting)
    ink_width = max(left + glyph.width for left, glyph in zip(lefts, glyphs, strict=True))
    ink_top = min(tops)
    ink_height = max(top + glyph.height for top, glyph in zip(tops, glyphs, strict=True)) - ink_top
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


def _glyph(rng: np.random.Generator, character: str, setting: Typesetting) -> Image.Image:
    """One character as an "L" image, cut to its advance box, rotated and stretched."""
    size = max(7, int(setting.size * (1 + setting.size_jitter * rng.uniform(-1, 1))))
    path = setting.font
    if setting.fonts_vary:
        choices = fonts.font_files()
        path = choices[int(rng.integers(0, len(choices)))]
    shape = character
    if character in WRITTEN:
        shape, path = _operator(rng, character, path)
    font = fonts.load(path, size)
    left, _, right, _ = font.getbbox(shape)
    pad = 2 + setting.outline
    width = max(1, int(right - left))
    image = Image.new("L", (width + 2 * pad, size + size // 3 + 2 * pad))
    # Everything keeps its place relative to the line, so that `-` stays in the middle and `q` below it.
    ImageDraw.Draw(image).text((pad - left, pad), shape, font=font, fill=255)
    if setting.outline:
        image = _outlined(image, setting.outline)
    if setting.stretch != 1.0:
        image = image.resize(
            (max(3, int(image.width * setting.stretch)), image.height), Image.Resampling.BILINEAR
        )
    if setting.shear:
        image = _sheared(image, setting.shear)
    angle = setting.slope + setting.rotation * rng.uniform(-1, 1)
    if abs(angle) > 1:
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    box = image.getbbox()
    if box is None:
        return image
    return image.crop((box[0], 0, box[2], image.height))


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
    natural = sum(glyph.width for glyph in glyphs)
    gap = setting.spacing * setting.size
    if setting.width is not None and len(glyphs) > 1:
        gap = max(-0.2 * setting.size, (setting.width - natural) / (len(glyphs) - 1))
    phase, period = rng.uniform(0, 6.3), rng.uniform(1.5, 5)
    left, lefts, tops = 0.0, [], []
    for index, glyph in enumerate(glyphs):
        lefts.append(int(left))
        wave = np.sin(phase + index * 6.283 / period) * setting.baseline_wave
        rise = (wave + setting.baseline_jitter * rng.uniform(-1, 1)) * setting.size
        tops.append(int(rise - glyph.height / 2))
        left += max(
            0.25 * glyph.width, glyph.width + gap + setting.spacing_jitter * setting.size * rng.uniform(-1, 1)
        )
    return lefts, tops


def _outlined(image: Image.Image, thickness: int) -> Image.Image:
    grown = image.filter(ImageFilter.MaxFilter(2 * thickness + 1))
    return ImageChops.subtract(grown, image)


def _sheared(image: Image.Image, shear: float) -> Image.Image:
    extra = int(abs(shear) * image.height)
    offset = -extra if shear > 0 else 0
    return image.transform(
        (image.width + extra, image.height),
        Image.Transform.AFFINE,
        (1, shear, offset, 0, 1, 0),
        Image.Resampling.BILINEAR,
    )


def random_typesetting(rng: np.random.Generator, *, length: int) -> Typesetting:
    """A setting over the whole range of what issuers do, from plain to hardly legible."""
    files = fonts.font_files()
    plain = rng.random() < 0.25
    setting = Typesetting(
        font=files[int(rng.integers(0, len(files)))],
        size=int(np.exp(rng.uniform(np.log(11), np.log(56)))),
        fonts_vary=bool(rng.random() < 0.3),
        spacing=float(rng.uniform(*_SPACINGS[rng.choice(3, p=[0.35, 0.4, 0.25])])),
        margins=(rng.uniform(0, 1.1), rng.uniform(0, 0.35), rng.uniform(0, 1.1), rng.uniform(0, 0.35)),
    )
    if length > 7:
        setting = replace(setting, spacing=min(setting.spacing, 0.3))
    if plain:
        return setting
    return replace(
        setting,
        size_jitter=rng.uniform(0, 0.25) if rng.random() < 0.4 else 0.0,
        rotation=rng.uniform(3, 32) if rng.random() < 0.6 else 0.0,
        slope=rng.uniform(-18, 18) if rng.random() < 0.15 else 0.0,
        baseline_jitter=rng.uniform(0, 0.28) if rng.random() < 0.5 else 0.0,
        baseline_wave=rng.uniform(0, 0.4) if rng.random() < 0.2 else 0.0,
        spacing_jitter=rng.uniform(0, 0.15) if rng.random() < 0.5 else 0.0,
        stretch=rng.uniform(0.65, 1.7) if rng.random() < 0.35 else 1.0,
        shear=rng.uniform(-0.45, 0.45) if rng.random() < 0.25 else 0.0,
        outline=1 if setting.size > 22 and rng.random() < 0.12 else 0,
    )
