"""Let the serving reader read the images of a type that wait for a text."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand, add_json
from labeling.management.reading import read_waiting
from ml.models import CaptchaType


class Command(TaskCommand):
    help = "Reads the open images of a type with the reader that serves now; pages show what it read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="the type's slug")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        captcha_type = CaptchaType.objects.filter(slug=options["type"]).first()
        if captcha_type is None:
            raise CommandError(f"There is no type {options['type']}.")
        done = read_waiting(captcha_type)
        self.stdout.write(f"{done} images read")
        if options["json"]:
            self.give({"read": done})
