"""Start what is due, and what was lost: for a line of cron, each minute."""

from argparse import ArgumentParser
from typing import Any

from jobs.commands import TaskCommand, add_json
from jobs.services import launch_overdue, recover_lost, run_due_schedules


class Command(TaskCommand):
    help = (
        "Starts the schedules that are due, finds the runs whose process died, and launches what waited too "
        "long. For cron: * * * * * manage.py run_due_jobs. Run twice at once it starts nothing twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        lost, overdue = recover_lost(), launch_overdue()
        started = run_due_schedules()
        self.stdout.write(
            f"{len(started)} started, {lost} found without a sign of life, {overdue} launched again"
        )
        if options["json"]:
            self.give({"started": len(started), "lost": lost, "launched_again": overdue})
