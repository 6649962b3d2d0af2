"""Read captchas from files: no HTTP, no user, no charge."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from jobs.progress import progress
from ml import registry
from ml.recognition.images import ImageError
from ml.recognition.pipeline import Recognizer, Unsolvable


class Command(TaskCommand):
    help = "Prints what captchas say, with type and confidence. Costs no credits."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
        parser.add_argument("--type", dest="captcha_type", help="the captcha type, if it is known")
        parser.add_argument("--user", help="read as this user, whose private types count too")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: Any, **options: Any) -> None:
        recognizer = registry.recognizer(self._user_id(options["user"]))
        unread = 0
        images: list[Path] = options["images"]
        for image in progress(images, unit="image") if len(images) > 1 else images:
            result = self._read(recognizer, image, options["captcha_type"])
            unread += "error" in result
            self._print(result, as_json=options["json"])
        if unread:
            raise CommandError(f"{unread} of {len(images)} images were not read.")

    def _user_id(self, username: str | None) -> int | None:
        if username is None:
            return None
        user_model = get_user_model()
        try:
            return user_model.objects.get_by_natural_key(username).pk
        except user_model.DoesNotExist as error:
            raise CommandError(f"There is no user {username}.") from error

    def _read(self, recognizer: Recognizer, image: Path, captcha_type: str | None) -> dict[str, Any]:
        try:
            recognition = recognizer.recognize(
                image.read_bytes(),
                captcha_type=captcha_type,
                max_bytes=settings.MAX_UPLOAD_BYTES,
                max_pixels=settings.MAX_IMAGE_PIXELS,
            )
        except OSError as error:  # its text has a number, and the name once more
            return {"image": str(image), "error": error.strerror or str(error)}
        except (ImageError, Unsolvable) as error:
            return {"image": str(image), "error": str(error)}
        return {"image": str(image), **asdict(recognition)}

    def _print(self, result: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.answer.write(json.dumps(result, ensure_ascii=False))
        elif "error" in result:
            self.stderr.write(f"{result['image']}: {result['error']}")
        else:
            self.answer.write(
                f"{result['image']}: {result['answer']}  "
                f"({result['captcha_type']}, confidence {result['confidence']:.3f})"
            )
