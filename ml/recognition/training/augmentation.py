"""Augmentation: the same captcha as another visit might have shown it."""

import numpy as np
from PIL import Image


def augment(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """A varied copy of `image` (height, width, 3) uint8, of the same shape.

    `strength` 0 changes nothing, 1 is for few images of a known type. Text keeps its legibility and case.
    """
    if strength <= 0:
        return image
    if rng.random() < 0.7:
        image = _moved(rng, image, strength)
    pixels = image.astype(np.float32)
    if rng.random() < 0.5:
        pixels = _recoloured(rng, pixels, strength)
    if rng.random() < 0.3:
        pixels += rng.normal(0, rng.uniform(0, 14) * strength, pixels.shape).astype(np.float32)
    if rng.random() < 0.15 * strength:
        _erase(rng, pixels)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _moved(rng: np.random.Generator, image: np.ndarray, strength: float) -> np.ndarray:
    """Shifted, scaled, slanted and turned a little; the border colour fills what comes into view."""
    height, width = image.shape[:2]
    shear, turn = rng.uniform(-0.12, 0.12) * strength, rng.uniform(-0.04, 0.04) * strength
    scale_x, scale_y = 1 + rng.uniform(-0.10, 0.10) * strength, 1 + rng.uniform(-0.10, 0.10) * strength
    shift_x, shift_y = (
        rng.uniform(-0.03, 0.03) * width * strength,
        rng.uniform(-0.07, 0.07) * height * strength,
    )
    a, b, d, e = scale_x, shear, turn, scale_y
    c = width / 2 - a * width / 2 - b * height / 2 + shift_x
    f = height / 2 - d * width / 2 - e * height / 2 + shift_y
    border = tuple(int(v) for v in np.median(image[:, [0, -1]].reshape(-1, 3), axis=0))
    picture = Image.fromarray(image)
    return np.asarray(
        picture.transform(
            (width, height),
            Image.Transform.AFFINE,
            (a, b, c, d, e, f),
            Image.Resampling.BILINEAR,
            fillcolor=border,
        )
    )


def _recoloured(rng: np.random.Generator, pixels: np.ndarray, strength: float) -> np.ndarray:
    """Other brightness and contrast, at times channels exchanged or everything inverted."""
    if rng.random() < 0.25:
        pixels = pixels[..., rng.permutation(3)]
    if rng.random() < 0.06:
        pixels = 255 - pixels
    gain = 1 + rng.uniform(-0.3, 0.3, 3 if rng.random() < 0.5 else 1) * strength
    offset = rng.uniform(-30, 30) * strength
    return ((pixels - 128) * gain + 128 + offset).astype(np.float32)


def _erase(rng: np.random.Generator, pixels: np.ndarray) -> None:
    """A thin bar over the text, too thin to hide a character."""
    height, width = pixels.shape[:2]
    bar = int(rng.integers(1, 3))
    if rng.random() < 0.5:
        at = int(rng.integers(0, height - bar))
        pixels[at : at + bar] = rng.uniform(0, 255, 3)
    else:
        at = int(rng.integers(0, width - bar))
        pixels[:, at : at + bar] = rng.uniform(0, 255, 3)
