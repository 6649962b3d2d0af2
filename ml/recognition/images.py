"""From the bytes of an upload to the network's input, alike in training, evaluation and serving.

`open_image` trusts nothing: it tells the format by its first bytes, reads the size from the header and
applies every limit before a pixel is decoded. Nothing here touches the disk.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_BYTES = 1024 * 1024
MAX_PIXELS = 2_000_000
MIN_SIDE = 8
"""Fewest pixels a side; no captcha can be read below it."""

_MAX_SIDE = 65_535
_MAX_PNG_CHUNKS = 4096
_MAX_JPEG_SCANS = 32
"""A scan costs a pass over all pixels but only a few bytes; encoders write about ten."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS_USED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
_PNG_ANIMATION = b"acTL"
_FOREIGN_FORMATS = (
    (b"%PDF", "a PDF"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\0\0\1\0", "an icon"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML or SVG file"),
)
_SEND = "send a JPEG, PNG, GIF, BMP or WebP"


class ImageError(ValueError):
    """The bytes are no picture that can be read.

    `code` is one of empty, too_large, not_an_image, unsupported_format, truncated, too_many_pixels,
    too_small, animated; the message says what to send instead.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def sentence(self) -> str:
        """The message as a sentence, for whoever sent the image; in lists it stands after the file's name."""
        text = str(self)
        return f"{text[:1].upper()}{text[1:]}."


@dataclass(frozen=True)
class InputSize:
    """The input of a network, in pixels: a fixed height, and a width that follows the picture's aspect."""

    height: int = 40
    width_multiple: int = 8
    min_width: int = 48
    max_width: int = 320

    def width_of(self, width: int, height: int) -> int:
        """Input width for a picture of `width` × `height`."""
        multiple = self.width_multiple
        scaled = round(width * self.height / height / multiple) * multiple
        return min(max(scaled, self.min_width), self.max_width)


def open_image(data: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an untrusted upload to an RGB picture.

    Transparency is laid on white, or on black where the visible pixels are themselves nearly white.

    Raises:
        ImageError: see its codes.
    """
    if not data:
        raise ImageError("empty", f"the file is empty: {_SEND}")
    if len(data) > max_bytes:
        raise ImageError(
            "too_large",
            f"the file has {len(data):,} bytes, at most {max_bytes:,} are allowed: send the captcha alone",
        )
    format_name = _sniff(data)
    if format_name == "PNG":
        data = _reduce_png(data)
    elif format_name == "WEBP":
        _check_webp(data, max_pixels)
    elif format_name == "JPEG" and data.count(b"\xff\xda") > _MAX_JPEG_SCANS:
        raise ImageError("not_an_image", f"the JPEG holds too many scans: {_SEND} saved by a usual program")
    try:
        return _decode(data, format_name, max_pixels)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = f"the picture has far more than the {max_pixels:,} pixels allowed: send the captcha alone"
        raise ImageError("too_many_pixels", message) from error
    except Exception as error:  # Pillow's parsers raise whatever the damage provokes
        raise _damaged(data, error) from error


def fit(image: Image.Image, size: InputSize) -> NDArray[np.uint8]:
    """The network's input of an RGB picture: (height, width, 3) uint8, aspect kept, one bilinear resize."""
    target = (size.width_of(*image.size), size.height)
    if image.size != target:
        image = image.resize(target, Image.Resampling.BILINEAR)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(target[1], target[0], 3)


def _decode(data: bytes, format_name: str, max_pixels: int) -> Image.Image:
    """Header, limits, pixels, in this order. Raises ImageError and whatever Pillow raises."""
    image = Image.open(BytesIO(data), formats=(format_name,))
    _check_size(*image.size, max_pixels)
    # A JPEG of several pictures (MPO, from cameras) is no animation: its first one counts.
    if format_name == "GIF" and getattr(image, "is_animated", False):
        raise _animated()
    if image.mode == "CMYK":
        raise ImageError("unsupported_format", "the JPEG has CMYK colours: save it in RGB and send it again")
    image.load()
    return _to_rgb(image)


def _sniff(data: bytes) -> str:
    """Pillow's name of the format, by the file's first bytes: a name or a MIME type is never trusted."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(_PNG_SIGNATURE):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    start = data[:64].lstrip()
    for signature, name in _FOREIGN_FORMATS:
        if data.startswith(signature) or start.startswith(signature):
            raise ImageError("unsupported_format", f"the file is {name}: {_SEND}")
    if data[4:8] == b"ftyp":
        raise ImageError("unsupported_format", f"the file is an AVIF, HEIC or video: {_SEND}")
    raise ImageError("not_an_image", f"the file is not an image: {_SEND}")


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels or max(width, height) > _MAX_SIDE:
        raise ImageError(
            "too_many_pixels",
            f"the picture has {width:,}×{height:,} pixels, at most {max_pixels:,} in all are allowed: "
            "send the captcha alone",
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            "too_small",
            f"the picture has {width}×{height} pixels, at least {MIN_SIDE} a side are needed: "
            "send it in its full size",
        )


def _reduce_png(data: bytes) -> bytes:
    """The PNG without the chunks that no pixel needs.

    Pillow inflates text and colour profile chunks while it opens the file, a megabyte for every kilobyte,
    so hostile files cost seconds; here they are dropped unread.
    """
    kept = [_PNG_SIGNATURE]
    position = len(_PNG_SIGNATURE)
    for number in range(1, _MAX_PNG_CHUNKS + 1):
        header = data[position : position + 8]
        if len(header) < 8:
            raise _truncated()
        length, name = struct.unpack(">I4s", header)
        end = position + 12 + length
        if end > len(data):
            raise _truncated()
        if name in _PNG_CHUNKS_USED:
            kept.append(data[position:end])
        elif name == b"IEND":
            kept.append(data[position:end])
            return data if len(kept) == number + 1 else b"".join(kept)
        elif name == _PNG_ANIMATION and data[position + 8 : position + 12] > b"\0\0\0\1":
            raise _animated()
        position = end
    raise ImageError("not_an_image", f"the PNG is cut into too many pieces: {_SEND} saved by a usual program")


def _check_webp(data: bytes, max_pixels: int) -> None:
    """Size and animation from the header: Pillow's decoder would reserve the whole canvas first."""
    if len(data) < 30:
        raise _truncated()
    kind = data[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        if data[20] & 0x02:
            raise _animated()
    elif kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    _check_size(width, height, max_pixels)
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise _truncated()


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any decoded mode as RGB, with transparency laid on a background that keeps the text visible."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _from_16_bit(image)
    transparency = image.info.get("transparency")
    if isinstance(transparency, tuple) and max(transparency) > 255:
        # A colour of a 16-bit PNG, which Pillow opens as 8-bit.
        image.info["transparency"] = tuple(value >> 8 for value in transparency)
    if image.has_transparency_data:
        return _on_background(image.convert("RGBA"))
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """A 16-bit grey picture: Pillow's own conversion clips at 255 instead of scaling."""
    deep = np.asarray(image).astype(np.uint16)
    grey = Image.fromarray((deep >> 8).astype(np.uint8))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey.convert("RGB")
    alpha = Image.fromarray(np.where(deep == transparent, 0, 255).astype(np.uint8))
    return _on_background(Image.merge("LA", (grey, alpha)).convert("RGBA"))


def _on_background(image: Image.Image) -> Image.Image:
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB")
    weights = np.asarray(alpha, np.float32)
    visible = float(weights.sum())
    bright = float(weights[np.asarray(image.convert("L")) >= 200].sum())
    # Captcha text is dark, coloured, or all white: only the last vanishes on white.
    shade = 0 if visible and bright > 0.98 * visible else 255
    background = Image.new("RGB", image.size, (shade, shade, shade))
    background.paste(image, mask=alpha)
    return background


def _animated() -> ImageError:
    return ImageError("animated", "the picture is animated: send one still frame")


def _truncated() -> ImageError:
    return ImageError("truncated", "the file is cut short: send it whole")


def _damaged(data: bytes, error: Exception) -> ImageError:
    """What a decoder's complaint means to the sender."""
    if isinstance(error, EOFError) or "truncated" in str(error).lower():
        return _truncated()
    message = f"the image file ({len(data):,} bytes) is damaged: send it again as it was downloaded"
    return ImageError("truncated", message)
