"""Take sources from a YAML file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from crawl import sources
from crawl.errors import SourceError
from jobs.commands import TaskCommand


class Command(TaskCommand):
    help = "Makes or changes the sources that a YAML file names, all or none; docs/crawling.md shows one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            taken = sources.load(options["file"].read_text(encoding="utf-8"))
        except (OSError, UnicodeError, SourceError) as error:
            raise CommandError(str(error)) from error
        for source, new in taken:
            self.stdout.write(f"{source}: {'added' if new else 'changed'}")
