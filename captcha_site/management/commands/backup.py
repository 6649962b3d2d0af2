"""``manage.py backup``: the database and the files that belong to it, in one archive."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from captcha_site import backups


class Command(BaseCommand):
    help = "Write the database, trained models, images with labels and data sets into one archive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, default=settings.BACKUPS_ROOT, help="the folder of archives")
        parser.add_argument("--keep", type=int, default=settings.BACKUPS_KEPT, help="how many stay; 0: all")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            archive = backups.make(options["to"])
        except backups.BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{archive}: {archive.stat().st_size:,} bytes")
        if options["keep"]:
            self.stdout.write(f"{backups.delete_all_but(options['keep'], options['to'])} older ones deleted")
