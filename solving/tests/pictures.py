"""Pictures that the tests draw, and bytes that only pretend to be pictures."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

TYPE_A, TYPE_B, UNKNOWN = 0, 255, 128
"""Brightness by which the tests' type model tells: captcha_type_a, captcha_type_b, no known type."""


def picture(brightness: int = TYPE_A, file_format: str = "PNG", **options: Any) -> bytes:
    """A captcha of one grey: the tests' readers write the same text whatever it shows."""
    return encode(Image.new("RGB", (120, 40), (brightness,) * 3), file_format, **options)


def encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def animated() -> bytes:
    frames = [Image.new("RGB", (120, 40), (shade, 0, 0)) for shade in (0, 120, 240)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def bomb(side: int = 30_000) -> bytes:
    """A few hundred bytes that unfold to `side` × `side` pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100_000)))
        + chunk(b"IEND", b"")
    )
