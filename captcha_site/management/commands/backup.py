"""``manage.py backup``: the database and the files that belong to it, in one archive."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from captcha_site import backups
from jobs.commands import TaskCommand, add_json
from jobs.progress import progress


class Command(TaskCommand):
    help = "Write the database, trained models, images with labels and data sets into one archive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, default=settings.BACKUPS_ROOT, help="the folder of archives")
        parser.add_argument("--keep", type=int, default=settings.BACKUPS_KEPT, help="how many stay; 0: all")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            archive = backups.make(options["to"], progress=progress)
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Nothing was written: {error}. Name another folder with --to.") from error
        size = archive.stat().st_size
        deleted = backups.delete_all_but(options["keep"], options["to"]) if options["keep"] else 0
        self.stdout.write(f"{archive}: {size:,} bytes")
        if options["keep"]:
            self.stdout.write(f"{deleted} older ones deleted")
        if options["json"]:
            self.give({"archive": str(archive), "bytes": size, "deleted": deleted})
