"""Warps: the sheet bent, as sine waves, perspective, bulges and arcs. One resampling for all of them."""

import numpy as np

from ml.recognition.synthesis.glyphs import Ink

Plane = np.ndarray
"""A value a pixel, (height, width) float32."""


def bend(rng: np.random.Generator, ink: Ink, *, strength: float) -> Ink:
    """Bend the ink by one to two random displacement fields; `strength` 1 is about a tenth of the height."""
    height, width = ink.mask.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    fields = (_sine_rows, _sine_columns, _perspective, _bulge, _arc)
    source_x, source_y = x.copy(), y.copy()
    for field in rng.choice(len(fields), size=int(rng.integers(1, 3)), replace=False):
        dx, dy = fields[field](rng, x, y, height, width)
        source_x += strength * dx
        source_y += strength * dy
    return resample(ink, source_x, source_y)


def resample(ink: Ink, source_x: np.ndarray, source_y: np.ndarray) -> Ink:
    """The ink looked up at (source_x, source_y), bilinear for the mask, nearest for the owner."""
    height, width = ink.mask.shape
    padded = np.pad(ink.mask, 1)
    px = np.clip(source_x + 1, 0, width + 0.999)
    py = np.clip(source_y + 1, 0, height + 0.999)
    x0, y0 = px.astype(np.intp), py.astype(np.intp)
    fx, fy = px - x0, py - y0
    x1, y1 = np.minimum(x0 + 1, width + 1), np.minimum(y0 + 1, height + 1)
    top = padded[y0, x0] * (1 - fx) + padded[y0, x1] * fx
    low = padded[y1, x0] * (1 - fx) + padded[y1, x1] * fx
    nearest_x = np.clip(np.rint(source_x), 0, width - 1).astype(np.intp)
    nearest_y = np.clip(np.rint(source_y), 0, height - 1).astype(np.intp)
    return Ink((top * (1 - fy) + low * fy).astype(np.float32), ink.owner[nearest_y, nearest_x])


def _sine_rows(rng: np.random.Generator, x: Plane, y: Plane, height: int, width: int) -> tuple[Plane, Plane]:
    amplitude = rng.uniform(0.03, 0.14) * height
    period = rng.uniform(0.8, 4.0) * height
    return np.zeros_like(x), amplitude * np.sin(x * (6.283 / period) + rng.uniform(0, 6.3))


def _sine_columns(
    rng: np.random.Generator, x: Plane, y: Plane, height: int, width: int
) -> tuple[Plane, Plane]:
    amplitude = rng.uniform(0.03, 0.12) * height
    period = rng.uniform(0.4, 2.0) * height
    return amplitude * np.sin(y * (6.283 / period) + rng.uniform(0, 6.3)), np.zeros_like(x)


def _perspective(
    rng: np.random.Generator, x: Plane, y: Plane, height: int, width: int
) -> tuple[Plane, Plane]:
    along = (x / width - 0.5) * rng.uniform(-0.5, 0.5)
    return np.zeros_like(x), (y - height / 2) * along


def _bulge(rng: np.random.Generator, x: Plane, y: Plane, height: int, width: int) -> tuple[Plane, Plane]:
    cx, cy = rng.uniform(0.1, 0.9) * width, rng.uniform(0.3, 0.7) * height
    radius = rng.uniform(0.6, 1.6) * height
    weight = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / radius**2) * rng.uniform(-0.4, 0.35)
    return (x - cx) * weight, (y - cy) * weight


def _arc(rng: np.random.Generator, x: Plane, y: Plane, height: int, width: int) -> tuple[Plane, Plane]:
    depth = rng.uniform(-0.22, 0.22) * height
    return np.zeros_like(x), depth * (2 * x / width - 1) ** 2
