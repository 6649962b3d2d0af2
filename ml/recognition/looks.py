"""Several looks at one picture: as it is, wider, or smaller on more of its paper.

A network errs in other places on each of them (test-time augmentation), so that what they agree on is surer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml.recognition.images import InputSize, fit

_LARGEST_STRETCH, _LARGEST_MARGIN = 3.0, 1.0


@dataclass(frozen=True)
class Look:
    """How a picture is shown: times `stretch` as wide, with paper of `margin` × its height on each side.

    Raises:
        ValueError: a value that leaves no picture.
    """

    stretch: float = 1.0
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not 1 / _LARGEST_STRETCH <= self.stretch <= _LARGEST_STRETCH:
            raise ValueError(f"a look's stretch must be between 1/3 and 3, not {self.stretch}")
        if not 0 <= self.margin <= _LARGEST_MARGIN:
            raise ValueError(f"a look's margin must be between 0 and 1, not {self.margin}")

    def place(self, share: float, width: int, height: int) -> float:
        """Where in a picture of `width` × `height` lies what is at `share` of the look's width; both 0 to 1.

        What lies on the paper beside the picture is below 0 or above 1.
        """
        margin = round(self.margin * height)
        return (share * (width + 2 * margin) - margin) / width


PLAIN = Look()
THREE = (PLAIN, Look(stretch=1.25), Look(margin=0.12))
SIX = (*THREE, Look(margin=0.25), Look(stretch=0.85), Look(stretch=1.5))
"""Chosen on drawn captchas and on the types that steer the general reader, which knows no type's scale.
Readers that are tuned from it take as many, lest they read less than it where labels are few."""


def shown(image: Image.Image, size: InputSize, look: Look) -> NDArray[np.uint8]:
    """The network's input of an RGB picture under `look`: (height, width, 3) uint8."""
    if look == PLAIN:
        return fit(image, size)
    if look.margin:
        image = _on_paper(image, round(look.margin * image.height))
    if look.stretch != 1:
        width = size.width_of(round(image.width * look.stretch), image.height)
        image = image.resize((width, size.height), Image.Resampling.BILINEAR)
    return fit(image, size)


def _on_paper(image: Image.Image, margin: int) -> Image.Image:
    """The picture in the middle of a sheet of its rim's median colour."""
    pixels = np.asarray(image)
    rim = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    red, green, blue = np.median(rim, axis=0).astype(int).tolist()
    sheet = Image.new("RGB", (image.width + 2 * margin, image.height + 2 * margin), (red, green, blue))
    sheet.paste(image, (margin, margin))
    return sheet
