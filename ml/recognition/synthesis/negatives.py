"""Pictures that are no captcha: a reader has to keep silent on them, the type model has to say "other"."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ml.recognition.synthesis import clutter, colours, fonts

_WORDS = (
    *("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on"),
    *("which", "you", "were", "her", "there", "would", "their", "house", "letter", "morning", "people"),
)


def draw(seed: int) -> tuple[Image.Image, str]:
    """An RGB picture without a captcha and its kind, one of KINDS."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS)))
    height = int(rng.integers(16, 120))
    width = int(np.clip(height * rng.uniform(0.8, 7), 24, 500))
    image = KINDS[kind](rng, width, height)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
    return image, kind


def _blank(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    return Image.new(
        "RGB", (width, height), _rgb(colours.any_colour(rng) if rng.random() < 0.7 else np.ones(3))
    )


def _gradient(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    corners = np.stack([colours.any_colour(rng) for _ in range(4)]).reshape(2, 2, 3)
    return _image(corners).resize((width, height), Image.Resampling.BILINEAR)


def _noise(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    channels = 3 if rng.random() < 0.5 else 1
    noise = rng.normal(rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.5), (height, width, channels))
    if rng.random() < 0.3:
        noise = (noise > 0.5).astype(float)
    return _image(np.broadcast_to(noise, (height, width, 3)))


def _photo(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Clouds of several scales with a horizon and a few things in front, like a small photograph."""
    picture = np.zeros((height, width, 3))
    for power in range(1, 6):
        cells = 2**power
        layer = (
            rng.random((cells, cells * 2, 3))
            if rng.random() < 0.5
            else rng.random((cells, cells * 2, 1)) * np.ones(3)
        )
        resized = _image(layer).resize((width, height), Image.Resampling.BICUBIC)
        picture += np.asarray(resized, float) / 255 / power
    picture = (picture - picture.min()) / max(1e-6, np.ptp(picture))
    picture = picture * rng.uniform(0.4, 1) * colours.light(rng) + rng.normal(0, 0.03, picture.shape)
    image = _image(picture)
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        points = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 7)), 2)) * (width, height)
        pen.polygon([tuple(point) for point in points.tolist()], fill=_rgb(colours.any_colour(rng)))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))


def _prose(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Printed words: several lines of them, or one line that is too long for a captcha."""
    ink, paper = colours.ink_and_paper(rng)
    files = fonts.font_files()
    path = files[int(rng.integers(0, len(files)))]
    rows = int(rng.integers(1, 6))
    if rows == 1:
        width, height = int(rng.integers(220, 520)), int(rng.integers(18, 50))
    size = max(7, int(height / rows * rng.uniform(0.55, 0.85)))
    image = Image.new("RGB", (width, height), _rgb(paper))
    pen = ImageDraw.Draw(image)
    for row in range(rows):
        count = max(4, int(width / size))
        words = " ".join(_WORDS[i] for i in rng.integers(0, len(_WORDS), count))
        if rng.random() < 0.4:
            words = words.capitalize() + "."
        pen.text((rng.uniform(0, 4), row * height / rows), words, font=fonts.load(path, size), fill=_rgb(ink))
    return image


def _interface(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Boxes, buttons and rules, like a piece of a screen."""
    image = Image.new("RGB", (width, height), _rgb(colours.light(rng)))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 9))):
        x, y = rng.uniform(-0.1, 0.9, 2) * (width, height)
        # Below a few pixels Pillow's rounded corners overlap and it refuses to draw.
        w, h = max(8.0, rng.uniform(0.05, 0.6) * width), max(8.0, rng.uniform(0.1, 0.7) * height)
        outline = _rgb(colours.dark(rng)) if rng.random() < 0.6 else None
        fill = _rgb(colours.any_colour(rng)) if rng.random() < 0.6 else None
        pen.rounded_rectangle((x, y, x + w, y + h), radius=min(w, h) / 4, fill=fill, outline=outline)
    return image


def _bars(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Stripes, rings and bar codes without any text."""
    if rng.random() < 0.6:
        first, second = colours.any_colour(rng), colours.any_colour(rng)
        pattern = clutter.stripes(rng, height, width)[..., None]
        return _image(first + (second - first) * pattern)
    bars = np.repeat(rng.random(width // 2 + 1) > 0.5, 2)[:width].astype(float)
    return _image(np.broadcast_to(bars[None, :, None], (height, width, 3)))


def _empty_captcha(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """What an issuer draws over a text, without the text."""
    image = Image.new("RGB", (width, height), _rgb(colours.light(rng)))
    for kind in rng.choice(5, size=2, replace=False):
        drawing = (clutter.lines, clutter.arcs, clutter.dots, clutter.circles, clutter.grid)[kind]
        drawing(rng, image, lambda: _rgb(colours.any_colour(rng)))
    return image


KINDS: dict[str, Callable[[np.random.Generator, int, int], Image.Image]] = {
    "blank": _blank,
    "gradient": _gradient,
    "noise": _noise,
    "photo": _photo,
    "prose": _prose,
    "interface": _interface,
    "bars": _bars,
    "empty captcha": _empty_captcha,
}


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def _rgb(colour: np.ndarray) -> clutter.Colour:
    r, g, b = (np.clip(colour, 0, 1) * 255).astype(int).tolist()
    return r, g, b
