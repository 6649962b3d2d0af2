"""Restyling: drawn captchas in the colours of a type whose images are at hand, labelled or not."""

from collections.abc import Sequence

import numpy as np

_SAMPLED = 200


class Palette:
    """Paper and contrast of a type's images, one entry an image."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        chosen = images[:: max(1, len(images) // _SAMPLED)]
        self._entries = [_paper_and_spread(image) for image in chosen]

    def restyle(self, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
        """`image` (height, width, 3) uint8 on the paper and with the contrast of one of the type's images.

        Paper is moved and what differs from it is scaled, by channel: statistics matched as Reinhard et al.
        (2001) do for photographs. Which side of the paper the ink lies on is matched too.
        """
        paper, spread, side = self._entries[int(rng.integers(0, len(self._entries)))]
        own_paper, own_spread, own_side = _paper_and_spread(image)
        # A plain copy of the whole picture's contrast would blow noise up where there is hardly any ink.
        scale = np.clip(spread / np.maximum(own_spread, 4.0), 0.2, 5.0)
        turned = np.where(side * own_side < 0, -1.0, 1.0)
        pixels = paper + (image.astype(np.float32) - own_paper) * scale * turned
        return np.clip(pixels, 0, 255).astype(np.uint8)


def _paper_and_spread(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median colour, root mean square distance from it, and on which side of it the rest lies; (3,) each."""
    pixels = image.reshape(-1, 3).astype(np.float32)
    paper = np.median(pixels, axis=0)
    apart = pixels - paper
    return paper, np.sqrt((apart**2).mean(axis=0)), np.sign(apart.mean(axis=0))
