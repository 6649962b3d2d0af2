"""What the captchas of the practice site look like: two drawn by us, two by libraries that sites use."""

import colorsys
import functools
import io
import random
import string
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.synthesis import clutter, fonts, generator, glyphs, texts

Draw = Callable[[str, int], bytes]
RIPPLES_SIZE = (250, 50)
"""Width and height in pixels."""


@dataclass(frozen=True)
class Style:
    """`draw(text, seed)` is the image file; the answer is the text, or of a sum its value."""

    title: str
    alphabet: str
    length: int
    draw: Draw
    sum_of: Callable[[random.Random], str] | None = None
    """Of a style that shows sums: one of them."""

    def text(self, seed: int) -> str:
        rng = random.Random(seed)
        if self.sum_of is not None:
            return self.sum_of(rng)
        return "".join(rng.choices(self.alphabet, k=self.length))

    def answer(self, text: str) -> str:
        return text if self.sum_of is None else str(arithmetic.answer(text))


def sum_as_type_b(rng: random.Random) -> str:
    return f"{rng.randint(1, 99)}{rng.choice('+-')}{rng.randint(1, 9)}=?"


def sum_as_django_simple_captcha(rng: random.Random) -> str:
    """As the package's `math_challenge` makes it, which has no seed of its own."""
    first, second = rng.randint(1, 10), rng.randint(1, 10)
    operator = rng.choice("+-*")
    if operator == "-":
        first, second = max(first, second), min(first, second)
    return f"{first}{operator}{second}="


def rippled(text: str, seed: int) -> bytes:
    """Dark capitals of an upright book face, none of them cut, under pale rings of about the opposite hue.

    The generator's own `ripples` are no one site's: made for a network to learn from, they are as various as
    can be, and people cannot read one in four.
    """
    rng = np.random.default_rng(seed)
    faces = fonts.serif_files()
    setting = glyphs.Typesetting(
        font=faces[int(rng.integers(0, len(faces)))],
        size=int(rng.integers(34, 53)),
        stretch=rng.uniform(0.9, 1.6),
        spacing=rng.uniform(0.0, 0.15),
        margins=(0.0, 0.0, 0.0, 0.0),
        aliased=True,
    )
    mask = _on_sheet(rng, glyphs.typeset(rng, text, setting).mask, RIPPLES_SIZE)[..., None]
    hue = rng.random()
    ink = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.3, 1.0), rng.uniform(0.1, 0.6)))
    ring = np.array(colorsys.hsv_to_rgb((hue + 0.5) % 1, rng.uniform(0.1, 0.7), rng.uniform(0.5, 1.0)))
    width, height = RIPPLES_SIZE
    rings = clutter.stripes(rng, height, width, concentric=True, period=rng.uniform(2.5, 3.5))[..., None]
    paper = 1 + (ring - 1) * rings
    page = paper + (ink - paper) * mask * rng.uniform(0.6, 1.0)
    return _png(Image.fromarray((page * 255).astype(np.uint8)))


def _on_sheet(rng: np.random.Generator, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The ink (h, w) float32 somewhere on a sheet of `size`, made smaller where it does not fit."""
    picture = Image.fromarray((mask * 255).astype(np.uint8))
    factor = min(1.0, size[0] / picture.width, size[1] / picture.height)
    picture = picture.resize((int(picture.width * factor), int(picture.height * factor)))
    sheet = Image.new("L", size)
    free = size[0] - picture.width, size[1] - picture.height
    sheet.paste(picture, (int(rng.integers(0, free[0] + 1)), int(rng.integers(0, free[1] + 1))))
    return np.asarray(sheet, np.float32) / 255


def summed(text: str, seed: int) -> bytes:
    return _png(generator.draw(seed, "sums", text).image)


def drawn_by_captcha(text: str, seed: int) -> bytes:
    """By the package `captcha`, which takes its chances from the system: the seed decides nothing."""
    from captcha.image import ImageCaptcha

    return bytes(ImageCaptcha().generate(text).getvalue())


def drawn_by_django_simple_captcha(text: str, seed: int) -> bytes:
    """By the view that the package `django-simple-captcha` gives a site, out of a database in memory."""
    return _DJANGO.submit(_by_the_view, text, f"{seed}").result()


STYLES = {
    "ripples": Style("Ripples, drawn by this project", texts.UNAMBIGUOUS, 5, rippled),
    "sums": Style("Sums, drawn by this project", string.digits + "+-=?", 6, summed, sum_as_type_b),
    "captcha": Style("The package captcha", texts.UNAMBIGUOUS, 4, drawn_by_captcha),
    "simple": Style(
        "The package django-simple-captcha", string.ascii_uppercase, 4, drawn_by_django_simple_captcha
    ),
    "math": Style(
        "Sums of the package django-simple-captcha",
        string.digits + "+-*=",
        6,
        drawn_by_django_simple_captcha,
        sum_as_django_simple_captcha,
    ),
}

# One thread, because a database in memory belongs to its connection, and the view seeds the one `random`.
_DJANGO = ThreadPoolExecutor(1, "django-simple-captcha")
_STARTING = threading.Lock()


def _by_the_view(text: str, key: str) -> bytes:
    _start_django()
    from captcha.models import CaptchaStore
    from captcha.views import captcha_image
    from django.test import RequestFactory

    store = CaptchaStore(challenge=text, response=text, hashkey=key)
    store.save()
    try:
        return bytes(captcha_image(RequestFactory().get("/"), key).content)
    finally:
        store.delete()


@functools.cache
def _start_django() -> None:
    """A Django of this process alone: the package's app and a database that dies with it."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        INSTALLED_APPS=["captcha"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
