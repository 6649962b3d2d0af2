"""Let the version before serve again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.services import RegistryError, roll_back


class Command(TaskCommand):
    help = "Lets the version serve again that the present one replaced."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug")
        parser.add_argument(
            "--reason", default="by manage.py roll_back", help="kept in the log of promotions"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = roll_back(slug=options["slug"], reason=options["reason"])
        except RegistryError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{version} serves again")
