"""Opening untrusted uploads: what is read, what is refused, and at what cost."""

from __future__ import annotations

import random
import struct
import time
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from ml.recognition.images import MAX_BYTES, MAX_PIXELS, ImageError, InputSize, fit, open_image

FORMATS = ["JPEG", "PNG", "GIF", "BMP", "WEBP"]
SIZE = (60, 30)
TEXT_BOX = (10, 10, 49, 19)
INSIDE, OUTSIDE = (30, 15), (2, 2)


def drawing(mode: str = "RGB", paper: Any = "white", ink: Any = "black") -> Image.Image:
    image = Image.new(mode, SIZE, paper)
    ImageDraw.Draw(image).rectangle(TEXT_BOX, fill=ink)
    return image


def saved(image: Image.Image, format_name: str = "PNG", **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(
    width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2, before: bytes = b""
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def code_of(data: bytes, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        open_image(data, **limits)
    assert str(caught.value)
    return caught.value.code


def ink_and_paper(data: bytes) -> tuple[int, int]:
    """Grey value inside and outside of the text's box."""
    grey = open_image(data).convert("L")
    return tuple(int(np.asarray(grey)[y, x]) for x, y in (INSIDE, OUTSIDE))  # type: ignore[return-value]


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_allowed_format_opens_as_rgb(format_name: str, mode: str) -> None:
    image = open_image(saved(drawing().convert(mode), format_name))
    assert (image.mode, image.size) == ("RGB", SIZE)
    ink, paper = ink_and_paper(saved(drawing().convert(mode), format_name))
    assert ink < 20
    assert paper > 235


@pytest.mark.parametrize("format_name", FORMATS)
def test_bytes_after_the_picture_do_not_matter(format_name: str) -> None:
    data = saved(drawing(), format_name)
    assert open_image(data + b"<!-- served by -->").tobytes() == open_image(data).tobytes()


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_cut_anywhere_is_refused(format_name: str) -> None:
    data = saved(Image.effect_noise(SIZE, 50).convert("RGB"), format_name)
    for length in range(1, len(data) - 1, 17):
        assert code_of(data[:length]) in {"truncated", "not_an_image"}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMATS), st.randoms(use_true_random=False))
def test_damaged_files_open_or_are_refused(format_name: str, rng: random.Random) -> None:
    data = bytearray(saved(drawing(), format_name))
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        assert open_image(bytes(data)).mode == "RGB"
    except ImageError as error:
        assert error.code != "empty"  # noqa: PT017 both outcomes are right


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8X"]),
    st.binary(max_size=200),
)
def test_any_bytes_open_or_are_refused(signature: bytes, rest: bytes) -> None:
    try:
        assert open_image(signature + rest).mode == "RGB"
    except ImageError as error:
        assert (error.code == "empty") == (not signature + rest)  # noqa: PT017 both outcomes are right


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"hello, this is a text", "not_an_image"),
        (b"%PDF-1.7\n%captcha.png", "unsupported_format"),
        (b"II*\0" + bytes(40), "unsupported_format"),
        (b"\n <svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        (b"\0\0\0\x20ftypavif" + bytes(40), "unsupported_format"),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), "too_large"),
        (saved(Image.new("RGB", (1, 1))), "too_small"),
        (saved(Image.new("RGB", (300, 7)), "WEBP"), "too_small"),
        (saved(Image.new("CMYK", SIZE), "JPEG"), "unsupported_format"),
    ],
)
def test_what_is_no_captcha_picture_is_named(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_the_messages_say_what_to_do() -> None:
    with pytest.raises(ImageError, match="the file is a PDF: send a JPEG, PNG, GIF, BMP or WebP"):
        open_image(b"%PDF-1.7")
    with pytest.raises(ImageError, match="CMYK colours: save it in RGB"):
        open_image(saved(Image.new("CMYK", SIZE), "JPEG"))


def test_the_callers_limits_hold() -> None:
    data = saved(drawing())
    assert code_of(data, max_bytes=len(data) - 1) == "too_large"
    assert code_of(data, max_pixels=60 * 30 - 1) == "too_many_pixels"
    assert open_image(data, max_bytes=len(data), max_pixels=60 * 30).size == SIZE


@pytest.mark.parametrize(
    "options",
    [{"format_name": "GIF"}, {"format_name": "WEBP"}, {"format_name": "PNG", "default_image": False}],
)
def test_animations_are_refused(options: dict[str, Any]) -> None:
    frames = [drawing(ink="red"), drawing(ink="blue")]
    data = saved(frames[0], **options, save_all=True, append_images=frames[1:])
    assert code_of(data) == "animated"


def test_an_animation_of_one_frame_is_a_picture() -> None:
    image = drawing()
    assert open_image(saved(image, "PNG", save_all=True)).size == SIZE
    assert open_image(saved(image, "GIF", save_all=True)).size == SIZE


def test_a_gif_damaged_after_its_first_frame_is_refused() -> None:
    data = saved(drawing(), "GIF")
    assert code_of(data[:-1] + b"!") == "truncated"


def huge_webp() -> bytes:
    data = bytearray(saved(drawing(), "WEBP", lossless=True))
    data[21:25] = (0x3FFF | 0x3FFF << 14).to_bytes(4, "little")
    return bytes(data)


def huge_bmp() -> bytes:
    data = saved(drawing(), "BMP")
    return data[:18] + struct.pack("<ii", 30_000, 30_000) + data[26:]


def gif_with_screen(side: int) -> bytes:
    data = saved(drawing(), "GIF")
    return data[:6] + struct.pack("<HH", side, side) + data[10:]


@pytest.mark.parametrize(
    "data",
    [
        png_of(30_000, 30_000, bytes(100_000)),
        png_of(10_000, 10_000, bytes(100_000)),
        gif_with_screen(65_535),
        gif_with_screen(3_000),
        huge_webp(),
        huge_bmp(),
    ],
    ids=["png", "png of the warning's size", "gif screen", "small gif screen", "webp", "bmp"],
)
def test_bombs_are_refused_before_decoding(data: bytes) -> None:
    start = time.process_time()
    assert code_of(data) == "too_many_pixels"
    assert time.process_time() - start < 0.05


def test_text_and_profiles_of_a_png_are_never_inflated() -> None:
    """Pillow inflates each to a megabyte: 600 of them take over a second."""
    rows = b"".join(b"\0" + bytes(3 * SIZE[0]) for _ in range(SIZE[1]))
    filler = zlib.compress(bytes(1_000_000))
    for bomb in (chunk(b"zTXt", b"k\0\0" + filler), chunk(b"iCCP", b"k\0\0" + filler)):
        data = png_of(*SIZE, rows, before=bomb * 600)
        start = time.process_time()
        assert open_image(data).size == SIZE
        assert time.process_time() - start < 0.2


def test_countless_pieces_are_refused() -> None:
    rows = b"".join(b"\0" + bytes(3 * SIZE[0]) for _ in range(SIZE[1]))
    assert code_of(png_of(*SIZE, rows, before=chunk(b"IDAT", b"") * 50_000)) == "not_an_image"
    progressive = saved(drawing(), "JPEG", progressive=True)
    last_scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    assert code_of(progressive[:-2] + last_scan * 60 + b"\xff\xd9") == "not_an_image"


def test_the_largest_picture_allowed_opens_in_half_a_second() -> None:
    side = int(MAX_PIXELS**0.5)
    data = saved(Image.radial_gradient("L").resize((side, side)).convert("RGB"), "JPEG", progressive=True)
    start = time.process_time()
    assert open_image(data).size == (side, side)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_dark_text_on_transparency_lies_on_white(mode: str) -> None:
    clear, ink = {"RGBA": ((0, 0, 0, 0), (0, 0, 0, 255)), "LA": ((0, 0), (0, 255))}[mode]
    assert ink_and_paper(saved(drawing(mode, clear, ink))) == (0, 255)


@pytest.mark.parametrize("format_name", ["PNG", "WEBP"])
def test_white_text_on_transparency_lies_on_black(format_name: str) -> None:
    image = drawing("RGBA", (255, 255, 255, 0), (255, 255, 255, 255))
    assert ink_and_paper(saved(image, format_name, lossless=True)) == (255, 0)


def test_half_transparent_text_keeps_its_shade() -> None:
    ink, paper = ink_and_paper(saved(drawing("RGBA", (0, 0, 0, 0), (0, 0, 0, 128))))
    assert paper == 255
    assert 120 < ink < 135


def test_a_picture_all_transparent_is_blank() -> None:
    assert ink_and_paper(saved(drawing("RGBA", (9, 9, 9, 0), (9, 9, 9, 0)))) == (255, 255)


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"], ids=["one colour", "a table"])
def test_a_palette_with_transparency_lies_on_white(transparency: int | bytes) -> None:
    image = drawing("P", 0, 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    rgb = np.asarray(open_image(saved(image, "PNG", transparency=transparency)))
    assert rgb[OUTSIDE[::-1]].tolist() == [255, 255, 255]
    assert rgb[INSIDE[::-1]].tolist() == [200, 0, 0]


def test_a_gif_with_a_transparent_colour_lies_on_white() -> None:
    image = drawing("P", 0, 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    rgb = np.asarray(open_image(saved(image, "GIF", transparency=0)))
    assert rgb[OUTSIDE[::-1]].tolist() == [255, 255, 255]


@pytest.mark.parametrize("format_name", ["PNG", "BMP", "GIF"])
def test_one_bit_keeps_black_and_white(format_name: str) -> None:
    assert ink_and_paper(saved(drawing("1", 1, 0), format_name)) == (0, 255)


@pytest.mark.parametrize("transparent", [0, 1])
def test_one_bit_with_transparency_stays_legible(transparent: int) -> None:
    ink, paper = ink_and_paper(saved(drawing("1", 1, 0), "PNG", transparency=transparent))
    assert abs(ink - paper) == 255


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    image = Image.fromarray(np.full((30, 60), 0x8000, np.uint16))
    assert ink_and_paper(saved(image)) == (128, 128)


def test_sixteen_bits_with_a_transparent_grey_lie_on_white() -> None:
    row = struct.pack(">60H", *[0x0100] * 30, *[0x0200] * 30)
    rows = b"".join(b"\0" + row for _ in range(30))
    data = png_of(*SIZE, rows, depth=16, colour=0, before=chunk(b"tRNS", struct.pack(">H", 0x0100)))
    grey = np.asarray(open_image(data).convert("L"))
    assert (grey[0, 0], grey[0, 59]) == (255, 2)


def test_sixteen_bit_colour_with_a_transparent_one_lies_on_white() -> None:
    row = struct.pack(">180H", *[0x1234] * 90, *[0x4321] * 90)
    rows = b"".join(b"\0" + row for _ in range(30))
    data = png_of(*SIZE, rows, depth=16, before=chunk(b"tRNS", struct.pack(">3H", *[0x1234] * 3)))
    grey = np.asarray(open_image(data).convert("L"))
    assert (grey[0, 0], grey[0, 59]) == (255, 0x43)


def test_the_rotation_that_a_camera_noted_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_image(saved(drawing(), "JPEG", exif=exif)).size == SIZE


@pytest.mark.parametrize(
    ("picture", "width"),
    [
        ((250, 50), 200),
        ((200, 70), 112),
        ((80, 25), 128),
        ((8, 100), 48),
        ((1000, 20), 320),
        ((104, 24), 176),
    ],
)
def test_the_input_follows_the_aspect(picture: tuple[int, int], width: int) -> None:
    array = fit(Image.new("RGB", picture, (10, 20, 30)), InputSize())
    assert array.shape == (40, width, 3)
    assert array.dtype == np.uint8
    assert array[20, width // 2].tolist() == [10, 20, 30]


@given(st.integers(8, 2000), st.integers(8, 2000))
def test_the_width_is_a_multiple_within_its_bounds(width: int, height: int) -> None:
    size = InputSize(height=32, width_multiple=16, min_width=32, max_width=256)
    assert size.width_of(width, height) in range(32, 257, 16)


def test_a_picture_of_the_right_size_is_passed_on() -> None:
    image = drawing().resize((200, 40))
    np.testing.assert_array_equal(fit(image, InputSize()), np.asarray(image))
