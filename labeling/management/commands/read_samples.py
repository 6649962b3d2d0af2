"""Let the serving reader read the images of a type that wait for a text."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.progress import report
from labeling.models import Sample
from labeling.predictions import AT_ONCE, refresh_predictions
from ml.models import CaptchaType


class Command(BaseCommand):
    help = "Reads the open images of a type with the reader that serves now; pages show what it read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="the type's slug")

    def handle(self, *args: Any, **options: Any) -> None:
        captcha_type = CaptchaType.objects.filter(slug=options["type"]).first()
        if captcha_type is None:
            raise CommandError(f"There is no type {options['type']}.")
        waiting = Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.OPEN).count()
        done = 0
        while read := refresh_predictions(captcha_type=captcha_type, limit=AT_ONCE):
            done += read
            report(done, max(done, waiting), "images read")
        self.stdout.write(f"{done} images read")
