"""Let a version serve."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.models import ModelVersion, Promotion
from ml.services import RegistryError, promote


class Command(TaskCommand):
    help = (
        "Lets a registered version serve if it beats the one that serves on a data set that both were "
        "evaluated on (manage.py evaluate). A reader brings the type model that knows its type, in one "
        "transaction; workers take it over within a second."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("version", type=int)
        parser.add_argument("--reason", default="", help="kept in the log of promotions")
        parser.add_argument(
            "--force", action="store_true", help="although something speaks against it; needs a --reason"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["force"] and not options["reason"].strip():
            raise CommandError("--force needs a --reason, which the log of promotions keeps.")
        found = ModelVersion.objects.filter(slug=options["slug"], version=options["version"])
        version = found.select_related("captcha_type").first()
        if version is None:
            raise CommandError(
                f"There is no {options['slug']}/{options['version']}. manage.py models lists what there is."
            )
        try:
            promoted = promote(
                version=version, reason=options["reason"] or "by manage.py promote", force=options["force"]
            )
        except RegistryError as error:
            forceable = getattr(error, "forceable", False)
            hint = " (--force --reason TEXT does it all the same)" if forceable else ""
            raise CommandError(f"{error}{hint}") from error
        for each in promoted:
            self.stdout.write(f"{each} serves")
        last = Promotion.objects.filter(version=version).first()
        if last is not None and last.grounds:
            self.stdout.write(last.grounds)
