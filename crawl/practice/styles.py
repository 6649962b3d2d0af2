"""What the captchas of the practice site look like: two drawn by us, two by libraries that sites use."""

import functools
import io
import random
import string
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.synthesis import generator, texts

Draw = Callable[[str, int], bytes]


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


def drawn_by_us(style: str) -> Draw:
    def draw(text: str, seed: int) -> bytes:
        return _png(generator.draw(seed, style, text).image)

    return draw


def drawn_by_captcha(text: str, seed: int) -> bytes:
    """By the package `captcha`, which takes its chances from the system: the seed decides nothing."""
    from captcha.image import ImageCaptcha

    return bytes(ImageCaptcha().generate(text).getvalue())


def drawn_by_django_simple_captcha(text: str, seed: int) -> bytes:
    """By the view that the package `django-simple-captcha` gives a site, out of a database in memory."""
    return _DJANGO.submit(_by_the_view, text, f"{seed}").result()


STYLES = {
    "ripples": Style("Ripples, drawn by this project", texts.UNAMBIGUOUS, 5, drawn_by_us("ripples")),
    "sums": Style(
        "Sums, drawn by this project", string.digits + "+-=?", 6, drawn_by_us("sums"), sum_as_type_b
    ),
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
