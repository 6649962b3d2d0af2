"""Freeze the agreed images of a type into a folder that training reads."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand, add_json
from labeling.datasets import CannotFreeze, folder_of, freeze
from ml.models import CaptchaType


class Command(TaskCommand):
    help = "Freezes the agreed images of a type; prints the folder. The same content is never frozen twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="the type's slug")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        captcha_type = CaptchaType.objects.filter(slug=options["type"]).first()
        if captcha_type is None:
            raise CommandError(f"There is no type {options['type']}.")
        try:
            dataset, new = freeze(captcha_type=captcha_type)
        except CannotFreeze as error:
            raise CommandError(str(error)) from error
        facts = dataset.facts
        if options["json"]:
            self.give({"data_set": dataset.number, "new": new, "folder": str(folder_of(dataset))} | facts)
            return
        parts = ", ".join(f"{n} {split}" for split, n in facts["splits"].items())
        self.stdout.write(f"{dataset}{'' if new else ' (frozen before)'}: {facts['images']} images ({parts})")
        self.answer.write(str(folder_of(dataset)))
