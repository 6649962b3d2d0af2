"""What the commands of the apps have in common: when they are quiet, and where their answer goes."""

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, OutputWrapper

from jobs.progress import quiet

TO_STDOUT = Path("-")
"""What `--json` is where no file is named."""


class TaskCommand(BaseCommand):
    """A command that tells of its work as it goes, on `self.stdout`, and gives its answer on `self.answer`.

    With `--verbosity 0`, and where JSON goes to the standard output, there is the answer alone: no words and
    no bar. Errors are told all the same.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.answer = OutputWrapper(options.get("stdout") or sys.stdout)
        if options["verbosity"] > 0 and options.get("json") not in (True, TO_STDOUT):
            return super().execute(*args, **options)
        with quiet(), open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device
            return super().execute(*args, **options | {"stdout": nowhere})

    def give(self, facts: Any) -> None:
        """The answer as one JSON value."""
        self.answer.write(json.dumps(facts, indent=1, ensure_ascii=False))


def add_json(parser: ArgumentParser) -> None:
    """``--json``, for commands whose answer is figures."""
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, and nothing else")
