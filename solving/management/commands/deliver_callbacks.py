"""``manage.py deliver_callbacks``: for a schedule; or, with --forever, a process of its own."""

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.db import close_old_connections

from jobs.commands import TaskCommand, add_json
from solving import callbacks


class Command(TaskCommand):
    help = "Send the callbacks that are due, and those whose last attempt failed a while ago."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--forever", action="store_true", help="look each second until told to end")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["forever"]:
            counted = self._deliver()
            if options["json"]:
                self.give(counted)
            return
        told = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *ignored: told.set())
        while not told.wait(1):
            close_old_connections()
            self._deliver(quiet=True)

    def _deliver(self, *, quiet: bool = False) -> dict[str, int]:
        counted = callbacks.deliver_due()
        if counted or not quiet:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(counted.items()))
            self.stdout.write(counts or "nothing is due")
        return dict(counted)
