"""Let a version read live traffic silently, or stop it."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.models import ModelVersion
from ml.selectors import shadow_score
from ml.services import RegistryError, forget_shadow_readings, start_shadow, stop_shadow


class Command(TaskCommand):
    help = (
        "Lets a version read SHADOW_PERCENT of the live traffic of its slug without answering: "
        "manage.py models shows how often it agrees. Workers begin within a second."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument("version", type=int, nargs="?", help="not needed with --stop")
        parser.add_argument("--stop", action="store_true", help="end it; what was read is kept")
        parser.add_argument("--forget", action="store_true", help="delete what the version read in shadow")

    def handle(self, *args: Any, **options: Any) -> None:
        slug, number = options["slug"], options["version"]
        if options["stop"]:
            self._stop(slug)
        if number is None:
            if options["forget"] or not options["stop"]:
                raise CommandError("Name the version: manage.py shadow TYPE VERSION")
            return
        version = ModelVersion.objects.filter(slug=slug, version=number).first()
        if version is None:
            raise CommandError(f"There is no {slug}/{number}. manage.py models lists what there is.")
        if options["forget"]:
            self.stdout.write(f"{forget_shadow_readings(version=version)} readings of {version} deleted")
        elif not options["stop"]:
            self._start(version)

    def _start(self, version: ModelVersion) -> None:
        try:
            start_shadow(version=version)
        except RegistryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{version} reads {settings.SHADOW_PERCENT} % of what is solved as {version.slug}, in shadow"
        )

    def _stop(self, slug: str) -> None:
        version = ModelVersion.objects.filter(slug=slug, shadow_since__isnull=False).first()
        if version is None:
            raise CommandError(f"No version of {slug} is in shadow.")
        stop_shadow(slug=slug)
        self.stdout.write(f"{version} no longer reads along: {shadow_score(version)}")
