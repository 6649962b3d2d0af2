"""Start what is due, and what was lost: for a line of cron, each minute."""

from typing import Any

from django.core.management.base import BaseCommand

from jobs.services import launch_overdue, recover_lost, run_due_schedules


class Command(BaseCommand):
    help = (
        "Starts the schedules that are due, finds the runs whose process died, and launches what waited too "
        "long. For cron: * * * * * manage.py run_due_jobs. Run twice at once it starts nothing twice."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        lost, overdue = recover_lost(), launch_overdue()
        started = run_due_schedules()
        self.stdout.write(
            f"{len(started)} started, {lost} found without a sign of life, {overdue} launched again"
        )
