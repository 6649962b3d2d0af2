"""How a command tells how far it is: on the terminal, and to the run that it is part of, if it is.

The command appends lines to a file that its runner made and reads; it never touches the row itself. So it
may tell from within a transaction, an event loop or a process of its own, and needs no Django.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

FILE = "JOB_PROGRESS_FILE"
"""Names the file in the environment of a command that runs as a job."""
SECONDS_BETWEEN = 0.5

Item = TypeVar("Item")

_last = 0.0
_quiet = False


def watched() -> bool:
    """Whether somebody sees a bar: the errors go to a terminal, and nobody asked for quiet."""
    return sys.stderr.isatty() and not _quiet


def is_quiet() -> bool:
    """Whether nobody wants to know how far it is."""
    return _quiet


@contextmanager
def quiet() -> Iterator[None]:
    """No bar within, even on a terminal."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


def progress(
    items: Iterable[Item], total: int | None = None, *, line: str = "", unit: str = "it"
) -> Iterator[Item]:
    """The items, behind a bar where somebody watches; the run's progress moves with them."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else 0
    report(0, total, line)
    bar = tqdm(items, total=total or None, desc=line, unit=unit, disable=not watched())
    for done, item in enumerate(bar, start=1):
        yield item
        report(done, total, line)


def report(done: int = 0, of: int = 0, line: str = "", **figures: float) -> None:
    """Tell that `done` of `of` (0: unknown) is done and what goes on; `figures` are a point of a curve.

    Does nothing outside a job. What comes within half a second of the last is left out, unless it has figures
    or is the end.
    """
    global _last
    path = os.environ.get(FILE)
    now = time.monotonic()
    if path is None or (not figures and done < of and now - _last < SECONDS_BETWEEN):
        return
    _last = now
    told = {"done": done, "of": of, "line": line, "figures": figures}
    try:
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - O_APPEND: a line is written whole
            file.write(json.dumps(told) + "\n")
    except OSError:  # the work matters more than the word about it
        pass
