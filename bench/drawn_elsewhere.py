"""Labelled captchas from generators of the package index that nobody here wrote, for the other benchmarks.

    python bench/drawn_elsewhere.py --out DIR [--count 700]

Each generator is installed into a folder of its own below DIR (two of them are called `captcha`), used as its
own documentation begins with, and drawn into DIR/NAME/ with the text as the file's name.
"""

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

# multicolorcaptcha asks for no more than Pillow, which is here.
PACKAGES = {
    "captcha": "captcha==0.7.1",
    "django-simple-captcha": "django-simple-captcha==0.7.0",
    "multicolorcaptcha": "multicolorcaptcha==1.2.0",
}
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def main() -> None:
    options = parsed()
    if options.draw:
        draw(options.draw, options.out / options.draw, options.count)
        return
    for name, package in PACKAGES.items():
        folder = options.out / "packages" / name
        if not folder.exists():
            pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), package]
            subprocess.run([*pip, *(["--no-deps"] if name != "django-simple-captcha" else [])], check=True)
        drawing = [sys.executable, __file__, "--out", str(options.out), "--count", str(options.count)]
        subprocess.run(
            [*drawing, "--draw", name], check=True, env=os.environ | {"PYTHONPATH": str(folder.resolve())}
        )
        print(f"{name}: {len(list((options.out / name).iterdir()))} images")


def draw(name: str, folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    random.seed(8)  # the generators draw from the one that all share
    draws: dict[str, Callable[[str], tuple[str, bytes]]] = {
        "captcha": from_captcha,
        "django-simple-captcha": django_drawer,
        "multicolorcaptcha": multicolour_drawer,
    }
    for number in range(count):
        text, data = draws[name]("".join(rng.choices(CHARACTERS, k=rng.randint(4, 6))))
        (folder / f"{text}__{number}.png").write_bytes(data)


def from_captcha(text: str) -> tuple[str, bytes]:
    from captcha.image import ImageCaptcha

    return text, ImageCaptcha(width=280, height=90).generate(text).getvalue()


def django_drawer(_: str) -> tuple[str, bytes]:
    """Its own challenge of four letters, drawn by its own view with its default settings."""
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["captcha"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            ROOT_URLCONF="captcha.urls",
            DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        )
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
    from captcha.views import captcha_image
    from django.apps import apps
    from django.test import RequestFactory

    store: Any = {model.__name__: model for model in apps.get_models()}["CaptchaStore"]
    key = store.generate_key()
    response = captcha_image(RequestFactory().get("/"), key)
    return store._default_manager.get(hashkey=key).challenge.strip(), response.content


def multicolour_drawer(_: str) -> tuple[str, bytes]:
    """Digits and letters of its own choice, at its middle difficulty."""
    from multicolorcaptcha import CaptchaGenerator

    drawn = CaptchaGenerator(0).gen_captcha_image(difficult_level=2, chars_mode="hex")
    stream = BytesIO()
    drawn["image"].convert("RGB").save(stream, "PNG")
    return drawn["characters"], stream.getvalue()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=700)
    parser.add_argument("--draw", choices=PACKAGES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
