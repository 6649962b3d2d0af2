"""Write down how customers' trainings ended; delete the files of deleted types."""

from argparse import ArgumentParser
from typing import Any

from jobs.commands import TaskCommand, add_json
from own_types.models import DeletedType
from own_types.services import clear_up
from own_types.trainings import settle_all


class Command(TaskCommand):
    help = (
        "Settles customers' trainings that have ended: those without a version are paid back, once. Deletes "
        "what deleted types left on the disk. For a schedule: it may run as often as one likes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        settled = settle_all()
        cleared = sum(clear_up(deleted) for deleted in DeletedType.objects.all())
        self.stdout.write(f"{settled} trainings settled, {cleared} deleted types cleared up")
        if options["json"]:
            self.give({"settled": settled, "cleared": cleared})
