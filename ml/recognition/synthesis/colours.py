"""Colours: pairs of ink and paper from black on white to pairs that differ in hue alone."""

import colorsys

import numpy as np

# Luma of Rec. 601, which "grey" in Pillow and JPEG means.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def any_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 in [0, 1]."""
    return np.array(
        colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 1) ** 0.7, rng.uniform(0.05, 1)), np.float32
    )


def light(rng: np.random.Generator) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.82, 1)), np.float32)


def dark(rng: np.random.Generator) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 1), rng.uniform(0, 0.6)), np.float32)


def with_luma(colour: np.ndarray, luma: float) -> np.ndarray:
    """`colour` brought to `luma` by moving it along the grey axis, kept inside the cube."""
    for _ in range(4):
        colour = np.clip(colour + (luma - float(colour @ LUMA)), 0, 1)
    return colour.astype(np.float32)


def equal_luminance_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours far apart in hue that turn into the same grey."""
    hue = rng.random()
    luma = rng.uniform(0.35, 0.7)
    saturation = rng.uniform(0.45, 0.95)
    first = np.array(colorsys.hsv_to_rgb(hue, saturation, 0.8), np.float32)
    second = np.array(colorsys.hsv_to_rgb((hue + rng.uniform(0.25, 0.75)) % 1, saturation, 0.8), np.float32)
    return with_luma(first, luma), with_luma(second, luma + rng.uniform(-0.03, 0.03))


def opposite_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A deeper and a paler colour of about opposite hues; at times the first is the paler one, both dull."""
    hue = rng.random()
    if rng.random() < 0.3:
        pale = colorsys.hsv_to_rgb(hue, rng.uniform(0.04, 0.3), rng.uniform(0.68, 0.92))
        dark = colorsys.hsv_to_rgb((hue + 0.5) % 1, rng.uniform(0.05, 0.45), rng.uniform(0.25, 0.65))
        return np.array(pale, np.float32), np.array(dark, np.float32)
    deep = colorsys.hsv_to_rgb(hue, rng.uniform(0.2, 0.95), rng.uniform(0.3, 0.85))
    pale_hue = (hue + 0.5 + rng.normal(0, 0.08)) % 1
    pale = colorsys.hsv_to_rgb(pale_hue, rng.uniform(0.1, 0.6), rng.uniform(0.55, 1.0))
    return np.array(deep, np.float32), np.array(pale, np.float32)


def ink_and_paper(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ink, then paper, each (3,) float32."""
    kind = rng.choice(6, p=[0.36, 0.29, 0.08, 0.05, 0.14, 0.08])
    if kind == 0:
        grey = rng.uniform(0, 0.45) if rng.random() < 0.6 else 0.0
        return np.full(3, grey, np.float32), np.ones(3, np.float32)
    if kind == 1:
        return dark(rng), light(rng)
    if kind == 2:
        return light(rng), dark(rng)
    if kind == 3:
        return equal_luminance_pair(rng)
    if kind == 4:
        return dark(rng), np.ones(3, np.float32)
    first, second = any_colour(rng), any_colour(rng)
    while abs(first - second).max() < 0.3:
        second = any_colour(rng)
    return first, second
