"""``manage.py prune``: delete what is past its time, as the settings say."""

from argparse import ArgumentParser
from typing import Any

from captcha_site import retention
from jobs.commands import TaskCommand, add_json


class Command(TaskCommand):
    help = "Delete what is past its time (the settings …_DAYS), in small batches. For a schedule, every hour."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        deleted: dict[str, int] = {}
        for pruned in retention.prune():
            deleted[pruned.what] = pruned.count
            self.stdout.write(f"{pruned.count:,} {pruned.what}")
        if options["json"]:
            self.give(deleted)
