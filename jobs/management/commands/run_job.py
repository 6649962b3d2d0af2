"""Run one queued job to its end: what a launched process does."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from jobs.models import JobRun
from jobs.running import run


class Command(TaskCommand):
    help = "Takes one queued job up and runs it to its end. What is not queued is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        told: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
        ended = run(options["id"], told_to_end=lambda: bool(told))
        if ended is None:
            self.stdout.write(f"Job {options['id']} is not queued.")
        elif ended.state == JobRun.State.FAILED:
            raise CommandError(f"{ended} failed: {ended.outcome}")
        else:
            self.stdout.write(f"{ended} {ended.state}")
