"""``manage.py restore``: what `manage.py backup` wrote, in the place of what is here."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from captcha_site import backups
from jobs.commands import TaskCommand


class Command(TaskCommand):
    help = "Restore an archive of `backup`. Stop the service before, and start it with `prepare` after."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", type=Path)
        parser.add_argument("--replace", action="store_true", help="although there are users already")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backups.restore(options["archive"], replace=options["replace"])
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"Not restored: {error}. Name an archive that `manage.py backup` wrote, in a folder with "
                "room to unpack it."
            ) from error
        self.stdout.write("Restored. Every balance is the sum of its entries.")
