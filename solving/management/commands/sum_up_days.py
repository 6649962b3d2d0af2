"""``manage.py sum_up_days``: for a schedule, once an hour."""

from argparse import ArgumentParser
from typing import Any

from jobs.commands import TaskCommand, add_json
from jobs.progress import progress
from solving import totals


class Command(TaskCommand):
    help = (
        "Sum up the solves of the days that have ended, so that usage and the dashboard do not count them "
        "again. It may run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        days = totals.days_to_sum_up()
        solves = sum(totals.sum_up(day) for day in progress(days, line="summing up", unit="day"))
        self.stdout.write(
            f"{solves:,} solves of {len(days):,} days" if days else "every day that ended is in"
        )
        if options["json"]:
            self.give({"days": len(days), "solves": solves})
