"""Take an artifact folder that was trained elsewhere into the registry."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.selectors import accuracy_of
from ml.services import RegistryError, register_version


class Command(TaskCommand):
    help = "Registers artifact folders (ARTIFACTS_ROOT/SLUG/NUMBER, as train writes them) as candidates."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        for folder in options["folders"]:
            try:
                version = register_version(folder=folder)
            except RegistryError as error:
                raise CommandError(str(error)) from error
            accuracy = accuracy_of(version.metrics) or "not measured"
            self.stdout.write(f"{version} is {version.get_state_display()}, exact match {accuracy}")
