"""``manage.py delete_kept_images``: for a schedule, such as every ten minutes."""

from argparse import ArgumentParser
from typing import Any

from jobs.commands import TaskCommand, add_json
from solving import kept_images


class Command(TaskCommand):
    help = "Delete the images of solves that can no longer be reported (REPORT_WINDOW_MINUTES)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        deleted = kept_images.delete_expired()
        self.stdout.write(f"{deleted} images deleted")
        if options["json"]:
            self.give({"deleted": deleted})
