"""``manage.py settle_reports``: for a schedule, such as once a minute."""

from typing import Any

from django.core.management.base import BaseCommand

from solving import reports


class Command(BaseCommand):
    help = "Compare reported answers with what labellers have decided since, and pay wrong ones back."

    def handle(self, *args: Any, **options: Any) -> None:
        settled = reports.settle_reports()
        counts = ", ".join(f"{count} {state}" for state, count in sorted(settled.items()))
        self.stdout.write(counts or "nothing was decided since")
