"""``manage.py settle_reports``: for a schedule, such as once a minute."""

from argparse import ArgumentParser
from typing import Any

from jobs.commands import TaskCommand, add_json
from solving import reports


class Command(TaskCommand):
    help = "Compare reported answers with what labellers have decided since, and pay wrong ones back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        settled = reports.settle_reports()
        counts = ", ".join(f"{count} {state}" for state, count in sorted(settled.items()))
        self.stdout.write(counts or "nothing was decided since")
        if options["json"]:
            self.give(dict(settled))
