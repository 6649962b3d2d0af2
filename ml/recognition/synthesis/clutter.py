"""Clutter: what an issuer draws over, under and through the text."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from ml.recognition.synthesis import fonts

Colour = tuple[int, int, int]


def lines(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Straight strike-through lines."""
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 7))):
        across = rng.random() < 0.6
        x0, x1 = (0, image.width) if across and rng.random() < 0.5 else rng.uniform(0, image.width, 2)
        y0, y1 = rng.uniform(0, image.height, 2)
        pen.line((x0, y0, x1, y1), fill=colour(), width=_pen_width(rng, image))


def arcs(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Curves: parts of ellipses and sine waves across the sheet."""
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            x, y = rng.uniform(-0.5, 1, 2) * (image.width, image.height)
            w, h = rng.uniform(0.3, 1.5) * image.width, rng.uniform(0.4, 2) * image.height
            start = rng.uniform(0, 360)
            pen.arc(
                (x, y, x + w, y + h),
                start,
                start + rng.uniform(60, 300),
                fill=colour(),
                width=_pen_width(rng, image),
            )
        else:
            xs = np.linspace(0, image.width, 24)
            phase, period = rng.uniform(0, 6.3), rng.uniform(0.4, 2) * image.width
            ys = image.height * (
                rng.uniform(0.25, 0.75) + rng.uniform(0.05, 0.3) * np.sin(phase + xs * 6.283 / period)
            )
            pen.line(
                list(zip(xs.tolist(), ys.tolist(), strict=True)), fill=colour(), width=_pen_width(rng, image)
            )


def dots(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Single pixels, from a few to a snowfall, or small blots."""
    pen = ImageDraw.Draw(image)
    big = rng.random() < 0.25
    share = rng.uniform(0.002, 0.02) if big else np.exp(rng.uniform(np.log(0.002), np.log(0.1)))
    count = max(1, int(share * image.width * image.height))
    palette = [colour() for _ in range(1 if rng.random() < 0.5 else 12)]
    at = rng.uniform(0, 1, (count, 2)) * (image.width, image.height)
    if not big:
        for index, chosen in enumerate(palette):
            pen.point([tuple(xy) for xy in at[index :: len(palette)].tolist()], fill=chosen)
        return
    for index, (x, y) in enumerate(at[:350]):
        radius = rng.uniform(0.5, 2.2)
        pen.ellipse((x, y, x + radius, y + radius), fill=palette[index % len(palette)])


def circles(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Thin coloured circles of all sizes, mostly towards one side, as type B has them."""
    pen = ImageDraw.Draw(image)
    top_heavy = rng.random() < 0.6
    for _ in range(int(rng.integers(3, 16))):
        radius = rng.uniform(0.02, 0.32) * image.height
        x = rng.uniform(0, 1) * image.width
        y = rng.uniform(-0.1, 0.5 if top_heavy else 1.0) * image.height
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour(), width=1)


def grid(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Ruled paper, sometimes slanted."""
    pen = ImageDraw.Draw(image)
    step = int(rng.integers(4, 16))
    slant = rng.uniform(-0.5, 0.5) * image.height if rng.random() < 0.4 else 0
    ink = colour()
    for x in range(int(rng.integers(0, step)), image.width, step):
        pen.line((x, 0, x + slant, image.height), fill=ink)
    if rng.random() < 0.7:
        for y in range(int(rng.integers(0, step)), image.height, step):
            pen.line((0, y, image.width, y), fill=ink)


def shapes(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Filled boxes and discs."""
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.uniform(-0.1, 1, 2) * (image.width, image.height)
        w, h = rng.uniform(0.1, 0.8, 2) * image.height
        draw = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        draw((x, y, x + w, y + h), fill=colour())


def letters(rng: np.random.Generator, image: Image.Image, colour: Callable[[], Colour]) -> None:
    """Small faint letters behind the text."""

    pen = ImageDraw.Draw(image)
    files = fonts.font_files()
    font = fonts.load(
        files[int(rng.integers(0, len(files)))], max(6, int(image.height * rng.uniform(0.15, 0.3)))
    )
    for _ in range(int(rng.integers(4, 20))):
        x, y = rng.uniform(-0.05, 1, 2) * (image.width, image.height)
        pen.text((x, y), chr(int(rng.integers(48, 123))), fill=colour(), font=font)


def stripes(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    concentric: bool | None = None,
    period: float | None = None,
) -> np.ndarray:
    """A pattern of stripes, (height, width) float32 in [0, 1]: rings, straight or wavy; `period` in px."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if period is None:
        period = rng.uniform(0.07, 0.16) * height
    kind = 0 if concentric else int(rng.choice(3, p=[0.5, 0.3, 0.2]))
    if kind == 0:
        cx, cy = rng.uniform(0, 1) * width, rng.uniform(0, 1) * height
        distance = np.hypot(x - cx, y - cy)
    else:
        angle = rng.uniform(0, 3.15)
        distance = x * np.cos(angle) + y * np.sin(angle)
        if kind == 2:
            sway = np.sin(y * 6.283 / (rng.uniform(0.4, 1.5) * height))
            distance = distance + rng.uniform(0.05, 0.2) * height * sway
    wave = np.sin(distance * (6.283 / period) + rng.uniform(0, 6.3))
    sharpness = rng.uniform(1.0, 4.0)
    return np.clip(0.5 + wave * sharpness / 2 + rng.uniform(-0.25, 0.25), 0, 1).astype(np.float32)


def _pen_width(rng: np.random.Generator, image: Image.Image) -> int:
    return int(rng.choice([1, 1, 2, max(1, image.height // 18)]))


KINDS = (lines, arcs, dots, circles, grid, shapes, letters)
