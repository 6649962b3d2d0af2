"""The generator: `draw(seed)` is one captcha with its text, the same for the same seed and fonts.

A drawing goes through five stages, each a free choice of its own: the text is set (`glyphs`), bent (`warps`),
laid in colour on paper (below), cluttered (`clutter`) and finished like a file from the web. The three styles
differ in where the choices are drawn from: `mixed` takes all of them, `ripples` keeps to serif text under
rings as BotDetect draws it, `sums` to plain exercises under coloured circles.
"""

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ml.recognition.synthesis import clutter, colours, fonts, glyphs, texts, warps

STYLES = {"mixed": 0.62, "ripples": 0.24, "sums": 0.14}


@dataclass(frozen=True)
class Drawing:
    """An RGB image and what is written on it ("" where nothing is)."""

    image: Image.Image
    text: str


def draw(seed: int, style: str | None = None, text: str | None = None) -> Drawing:
    """Draw a captcha. `style` is one of STYLES (default: by their weights), `text` what to write.

    Raises NoFonts when the machine has none, KeyError for an unknown style.
    """
    rng = np.random.default_rng(seed)
    if style is None:
        style = str(rng.choice(list(STYLES), p=list(STYLES.values())))
    return {"mixed": _mixed, "ripples": _ripples, "sums": _sums}[style](rng, text)


def _mixed(rng: np.random.Generator, text: str | None) -> Drawing:
    if text is None:
        text = texts.random_sum(rng) if rng.random() < 0.07 else texts.random_text(rng)
    setting = glyphs.random_typesetting(rng, length=len(text))
    ink = glyphs.typeset(rng, text, setting)
    if rng.random() < 0.4:
        ink = warps.bend(rng, ink, strength=rng.uniform(0.3, 1.1))
    if setting.aliased or rng.random() < 0.12:
        ink = replace(ink, mask=(ink.mask > 0.45).astype(np.float32))
    elif rng.random() < 0.12:
        ink = _thinned_or_thickened(rng, ink)
    if rng.random() < 0.05:
        ink = _worn(rng, ink)
    ink_colour, paper = colours.ink_and_paper(rng)
    sheet = _sheet(rng, ink.mask.shape, paper)
    if rng.random() < 0.5:
        sheet = _cluttered(rng, sheet, ink_colour, paper, behind=True)
    page = _print(rng, ink, sheet, ink_colour)
    if setting.aliased and rng.random() < 0.5:
        page = _specked_and_crossed(rng, page, ink_colour)
    elif rng.random() < 0.55:
        page = _cluttered(rng, page, ink_colour, paper, behind=False)
    return Drawing(_finished(rng, page), text)


def _ripples(rng: np.random.Generator, text: str | None) -> Drawing:
    """Text under fine rings, on a sheet about five times as wide as high (type A).

    Measured on type A: a ring every 2.5 to 3.5 pixels of 50, capitals 25 to 40 pixels high and often wide, in
    a Roman face without anti-aliasing; ring and ink of opposite hues.
    """
    text = text or texts.ripple_text(rng)
    height = int(rng.integers(44, 60))
    ink = _on_sheet_of(rng, text, height, int(height * rng.uniform(3.8, 5.6)))
    height, width = ink.mask.shape
    fine = rng.uniform(0.046, 0.085) if rng.random() < 0.75 else rng.uniform(0.085, 0.16)
    concentric = rng.random() < 0.9 or None
    pattern = clutter.stripes(rng, height, width, concentric=concentric, period=fine * height)[..., None]
    ink_colour, ring = _ripple_colours(rng)
    white = np.ones(3, np.float32)
    gap = white + (ring - white) * rng.uniform(0, 0.3) * float(rng.random() < 0.4)
    paper = gap + (ring - gap) * pattern
    kind = rng.choice(3, p=[0.45, 0.25, 0.30])
    if kind == 0:
        printed = paper + (ink_colour - paper) * rng.uniform(0.5, 1.0)
    elif kind == 1:
        printed = paper * (white + (ink_colour - white) * rng.uniform(0.7, 1.0))
    else:
        ink_gap = white + (ink_colour - white) * rng.uniform(0, 0.9)
        own = 1 - pattern if rng.random() < 0.3 else pattern
        printed = ink_gap + (ink_colour - ink_gap) * own
    page = paper + (printed - paper) * ink.mask[..., None]
    return Drawing(_as_jpeg(rng, _to_image(page), 35, 95), text)


def _ripple_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ink and ring: opposite in hue, alike in grey, dark on pale, or any two that differ."""
    kind = rng.random()
    if kind < 0.4:
        return colours.opposite_pair(rng)
    if kind < 0.6:
        return colours.equal_luminance_pair(rng)
    if kind < 0.8:
        ring = colours.any_colour(rng)
        return colours.dark(rng), ring + (1 - ring) * rng.uniform(0.3, 0.85)
    ink_colour, ring = colours.any_colour(rng), colours.any_colour(rng)
    while abs(ink_colour - ring).max() < 0.25:
        ring = colours.any_colour(rng)
    return ink_colour, ring


def _on_sheet_of(rng: np.random.Generator, text: str, height: int, width: int) -> glyphs.Ink:
    """The text at random size and place on a sheet of `width` by `height`; its rim may be cut a little."""
    faces = (fonts.roman_files, fonts.serif_files, fonts.font_files)
    files = faces[rng.choice(3, p=[0.35, 0.35, 0.3])]()
    aliased = bool(rng.random() < 0.6)
    setting = glyphs.Typesetting(
        font=files[int(rng.integers(0, len(files)))],
        size=int(height * rng.uniform(0.62, 1.12)),
        stretch=rng.uniform(0.9, 1.9),
        spacing=rng.uniform(-0.06, 0.22),
        rotation=rng.uniform(0, 5) if rng.random() < 0.2 else 0.0,
        margins=(0.0, 0.0, 0.0, 0.0),
        aliased=aliased,
    )
    ink = glyphs.typeset(rng, text, setting)
    rows, columns = ink.mask.shape
    # What is too large for the sheet is made smaller; a pixel or two may still be cut.
    factor = min(1.0, (width + 2) / columns, (height + 2) / rows)
    picture = Image.fromarray((ink.mask * 255).astype(np.uint8))
    smooth = Image.Resampling.NEAREST if aliased else Image.Resampling.BICUBIC
    picture = picture.resize((max(8, int(columns * factor)), max(8, int(rows * factor))), smooth)
    sheet = Image.new("L", (width, height))
    x = int(rng.integers(min(-1, width - picture.width), max(0, width - picture.width) + 1))
    y = int(rng.integers(min(-1, height - picture.height), max(0, height - picture.height) + 1))
    sheet.paste(picture, (x, y))
    mask = np.asarray(sheet, np.float32) / 255.0
    return glyphs.Ink(mask, np.where(mask > 0.25, 0, -1).astype(np.int8))


def _sums(rng: np.random.Generator, text: str | None) -> Drawing:
    """An exercise in plain type with coloured circles drawn over it (type B)."""
    text = text or texts.random_sum(rng)
    files = fonts.font_files()
    setting = glyphs.Typesetting(
        font=files[int(rng.integers(0, len(files)))],
        size=int(rng.integers(22, 44)),
        spacing=rng.uniform(0.02, 0.45),
        spacing_jitter=rng.uniform(0, 0.15),
        stretch=rng.uniform(0.85, 1.2),
        margins=(rng.uniform(0.1, 0.5), rng.uniform(0.0, 0.5), rng.uniform(0.1, 1.8), rng.uniform(0.0, 0.4)),
    )
    ink = glyphs.typeset(rng, text, setting)
    ink_colour = np.full(3, rng.uniform(0.0, 0.6), np.float32) if rng.random() < 0.6 else colours.dark(rng)
    paper = np.ones(3, np.float32) if rng.random() < 0.7 else colours.light(rng)
    image = _to_image(paper + (ink_colour - paper) * ink.mask[..., None])
    clutter.circles(rng, image, lambda: _rgb(colours.any_colour(rng)))
    return Drawing(_as_jpeg(rng, image, 45, 95), text)


def _sheet(rng: np.random.Generator, shape: tuple[int, int], paper: np.ndarray) -> np.ndarray:
    """Paper, (h, w, 3) float32: plain, a gradient, noise, clouds or stripes."""
    height, width = shape
    sheet = np.broadcast_to(paper, (height, width, 3)).astype(np.float32)
    kind = rng.choice(5, p=[0.56, 0.14, 0.12, 0.10, 0.08])
    other = np.clip(paper + rng.uniform(-0.3, 0.3, 3), 0, 1).astype(np.float32)
    if kind == 1:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        angle = rng.uniform(0, 6.3)
        along = (x / width) * np.cos(angle) + (y / height) * np.sin(angle)
        along = (along - along.min()) / max(1e-6, float(np.ptp(along)))
        sheet = sheet + (other - paper) * along[..., None]
    elif kind == 2:
        channels = 3 if rng.random() < 0.5 else 1
        sheet = sheet + rng.normal(0, rng.uniform(0.02, 0.16), (height, width, channels)).astype(np.float32)
    elif kind == 3:
        coarse = rng.random((max(2, height // 8), max(2, width // 8))).astype(np.float32)
        clouds = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        sheet = sheet + (other - paper) * clouds[..., None]
    elif kind == 4:
        sheet = sheet + (other - paper) * clutter.stripes(rng, height, width)[..., None]
    return np.clip(sheet, 0, 1)


def _print(
    rng: np.random.Generator, ink: glyphs.Ink, sheet: np.ndarray, ink_colour: np.ndarray
) -> np.ndarray:
    """The ink laid on the sheet: one colour, one per character, a gradient, cut by stripes, with a shadow."""
    mask = ink.mask[..., None]
    layer: np.ndarray = np.broadcast_to(ink_colour, sheet.shape).astype(np.float32)
    kind = rng.choice(4, p=[0.64, 0.16, 0.10, 0.10])
    if kind == 1:
        paper_luma = float(sheet.mean(axis=(0, 1)) @ colours.LUMA)
        palette = [
            colours.dark(rng) if paper_luma > 0.5 else colours.light(rng) for _ in range(ink.owner.max() + 2)
        ]
        layer = np.stack(palette)[ink.owner]
    elif kind == 2:
        other = np.clip(ink_colour + rng.uniform(-0.35, 0.35, 3), 0, 1)
        along = np.linspace(0, 1, sheet.shape[1], dtype=np.float32)[None, :, None]
        layer = layer + (other - ink_colour).astype(np.float32) * along
    elif kind == 3:
        mask = mask * (1 - clutter.stripes(rng, *ink.mask.shape)[..., None] * rng.uniform(0.4, 1.0))
    if rng.random() < 0.08:
        shift = int(rng.integers(1, 4))
        shadow = np.roll(ink.mask, (shift, shift), (0, 1))[..., None] * rng.uniform(0.2, 0.7)
        sheet = sheet + (colours.any_colour(rng) - sheet) * shadow
    return sheet + (layer - sheet) * mask


def _cluttered(
    rng: np.random.Generator, page: np.ndarray, ink_colour: np.ndarray, paper: np.ndarray, *, behind: bool
) -> np.ndarray:
    image = _to_image(page)
    lone = ink_colour if rng.random() < 0.4 else None
    strength = rng.uniform(0.15, 0.6) if behind else 1.0

    def colour() -> clutter.Colour:
        chosen = lone if lone is not None else colours.any_colour(rng)
        if not behind and rng.random() < 0.06:
            chosen = paper
        return _rgb(paper + (chosen - paper) * strength)

    kinds = clutter.KINDS
    weights = [0.3, 0.15, 0.25, 0.08, 0.08, 0.06, 0.08] if behind else [0.38, 0.22, 0.3, 0.06, 0.04, 0.0, 0.0]
    for index in rng.choice(len(kinds), size=int(rng.choice([1, 2], p=[0.7, 0.3])), replace=False, p=weights):
        kinds[index](rng, image, colour)
    return np.asarray(image, np.float32) / 255.0


def _specked_and_crossed(rng: np.random.Generator, page: np.ndarray, ink_colour: np.ndarray) -> np.ndarray:
    """Single pixels and lines one pixel wide, in the colour of the ink or near it: the old libraries' way."""
    image = _to_image(page)
    lone = rng.random() < 0.6

    def colour() -> clutter.Colour:
        return _rgb(ink_colour if lone else np.clip(ink_colour + rng.uniform(-0.1, 0.4), 0, 1))

    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 6))):
        ends = rng.uniform(0, 1, 4) * (image.width, image.height, image.width, image.height)
        pen.line(ends.tolist(), fill=colour())
    clutter.dots(rng, image, colour)
    return np.asarray(image, np.float32) / 255.0


def _thinned_or_thickened(rng: np.random.Generator, ink: glyphs.Ink) -> glyphs.Ink:
    image = Image.fromarray((ink.mask * 255).astype(np.uint8))
    bold = rng.random() < 0.6
    grown = image.filter(ImageFilter.MaxFilter(3)) if bold else image.filter(ImageFilter.GaussianBlur(0.8))
    mask = np.asarray(grown, np.float32) / 255.0
    return replace(ink, mask=mask if bold else np.clip(mask * 1.8 - 0.7, 0, 1))


def _worn(rng: np.random.Generator, ink: glyphs.Ink) -> glyphs.Ink:
    """Ink with holes: single pixels, or a raster of dots."""
    if rng.random() < 0.5:
        return replace(ink, mask=ink.mask * (rng.random(ink.mask.shape) > rng.uniform(0.05, 0.4)))
    y, x = np.mgrid[0 : ink.mask.shape[0], 0 : ink.mask.shape[1]]
    step = int(rng.integers(2, 5))
    raster = ((x % step < step - 1) & (y % step < step - 1)) | (rng.random() < 0.3)
    return replace(ink, mask=ink.mask * raster.astype(np.float32))


def _finished(rng: np.random.Generator, page: np.ndarray) -> Image.Image:
    """The page as a file from the web shows it: contrast, resampling, few colours, compression."""
    if rng.random() < 0.12:
        page = page.mean() + (page - page.mean()) * rng.uniform(0.4, 0.8)
    if rng.random() < 0.10:
        page = 1 - page
    image = _to_image(page)
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 0.03 * image.height + 0.4)))
    if image.height < 32 and rng.random() < 0.08:
        image = image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)
    if rng.random() < 0.25 and image.height > 28:
        factor = rng.uniform(max(0.35, 20 / image.height), 1.0)
        image = image.resize(
            (max(24, int(image.width * factor)), int(image.height * factor)), Image.Resampling.BILINEAR
        )
    kind = rng.random()
    if kind < 0.10:
        return _two_tone(image)
    if kind < 0.14:
        return image.quantize(int(rng.integers(4, 32)), method=Image.Quantize.FASTOCTREE).convert("RGB")
    if kind < 0.55:
        return _as_jpeg(rng, image, 25 if image.height > 36 else 55, 95)
    return image


def _two_tone(image: Image.Image) -> Image.Image:
    """Cut between the darkest and the lightest grey there is, so that the text survives."""
    grey = image.convert("L")
    low, high = np.percentile(np.asarray(grey), (3, 97))
    middle = (low + high) / 2
    return grey.point(lambda value: 255 if value > middle else 0).convert("RGB")


def _as_jpeg(rng: np.random.Generator, image: Image.Image, worst: int, best: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(worst, best)))
    return Image.open(buffer).convert("RGB")


def _to_image(page: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(page, 0, 1) * 255 + 0.5).astype(np.uint8))


def _rgb(colour: np.ndarray) -> clutter.Colour:
    r, g, b = (np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return r, g, b
