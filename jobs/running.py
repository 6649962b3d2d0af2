"""The runner: takes one queued run up, watches over its command, and writes down how it ended."""

import codecs
import json
import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from jobs import progress, services
from jobs.child import LIFELINE
from jobs.interpreters import NoTrainingPython, interpreter_for
from jobs.kinds import UnknownKind, kind_named
from jobs.models import JobRun

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_BEATS = 2.0
SECONDS_TO_STOP = 15.0
"""After SIGTERM, before SIGKILL."""
LINES_KEPT = 300
CHARACTERS_KEPT = 20_000
POINTS_KEPT = 1000
"""Of a curve; of a longer one every second point is dropped."""


def run(run_id: int, *, told_to_end: Callable[[], bool] = lambda: False) -> JobRun | None:
    """Run the job to its end; None when it was not queued: delivered twice, or cancelled before it began.

    `told_to_end`: whether this process was asked to end; the run is then given back.
    """
    claimed = services.claim(run_id=run_id, host=socket.gethostname(), pid=os.getpid())
    if claimed is None:
        return None
    try:
        kind = kind_named(claimed.kind)
        python = interpreter_for(kind, claimed.arguments)
    except (UnknownKind, NoTrainingPython) as error:
        services.finish(claimed, state=JobRun.State.FAILED, outcome=str(error))
    else:
        with TemporaryDirectory(prefix="job-") as folder:
            command = [python, "-m", "jobs.child", kind.command, *claimed.arguments]
            _Watch(claimed, command, Path(folder) / "progress", told_to_end).to_the_end()
    claimed.refresh_from_db()
    return claimed


class _Watch:
    """One command under way, and what it has told so far."""

    def __init__(self, run: JobRun, command: list[str], told: Path, told_to_end: Callable[[], bool]) -> None:
        self.run, self.command, self.told_to_end = run, command, told_to_end
        self.tail = Tail()
        self.progress = ProgressFile(told)
        self.stopping_since: float | None = None
        self.lost = False
        self.last_beat = time.monotonic()

    def to_the_end(self) -> None:
        lifeline, ours = os.pipe()
        try:
            child = subprocess.Popen(
                self.command,
                cwd=settings.BASE_DIR,
                env=os.environ
                | {
                    LIFELINE: str(lifeline),
                    progress.FILE: str(self.progress.path),
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[lifeline],
                start_new_session=True,  # a group of its own, which is stopped as a whole
            )
        except OSError as error:
            os.close(ours)
            services.finish(self.run, state=JobRun.State.FAILED, outcome=str(error))
            return
        finally:
            os.close(lifeline)
        try:
            reading = threading.Thread(target=self.tail.read, args=(child.stdout,), daemon=True)
            reading.start()
            self._watch(child)
            reading.join(timeout=5)  # a grandchild may keep the pipe open
        finally:
            os.close(ours)
        if not self.lost:
            self._write_down(child.returncode)

    def _watch(self, child: "subprocess.Popen[bytes]") -> None:
        while True:
            try:
                child.wait(timeout=SECONDS_BETWEEN_BEATS)
                return
            except subprocess.TimeoutExpired:
                self._beat()
            if self.lost or self.run.cancel_requested or self.told_to_end():
                self._stop(child)

    def _beat(self) -> None:
        try:
            self.lost = not services.beat(self.run, **self._told())
            self.run.refresh_from_db(fields=["cancel_requested"])
            self.last_beat = time.monotonic()
        except (OperationalError, InterfaceError) as error:
            logger.warning("%s: no sign of life could be given: %s", self.run, error)
            connection.close()
            # Before others may take the run for lost and begin it again, the command has to have stopped.
            silent = time.monotonic() - self.last_beat
            self.lost = silent > services.LOST_AFTER.total_seconds() - 2 * SECONDS_TO_STOP

    def _stop(self, child: "subprocess.Popen[bytes]") -> None:
        """SIGTERM to the command and all it started; SIGKILL when it goes on nevertheless."""
        now = time.monotonic()
        if self.stopping_since is None:
            self.stopping_since = now
            os.killpg(child.pid, signal.SIGTERM)
        elif now - self.stopping_since > SECONDS_TO_STOP:
            os.killpg(child.pid, signal.SIGKILL)

    def _write_down(self, code: int) -> None:
        while True:
            try:
                self._end(code)
                return
            except (OperationalError, InterfaceError) as error:
                logger.warning("%s: how it ended could not be stored: %s", self.run, error)
                connection.close()
                if time.monotonic() - self.last_beat > services.LOST_AFTER.total_seconds():
                    raise  # by now the run counts as lost
                time.sleep(SECONDS_BETWEEN_BEATS)

    def _end(self, code: int) -> None:
        told = self._told()
        state, outcome = JobRun.State.FAILED, f"the command ended with exit code {code}"
        if code == 0:
            state, outcome = JobRun.State.SUCCEEDED, ""
        elif self.run.cancel_requested:
            state, outcome = JobRun.State.CANCELLED, "cancelled"
        elif self.stopping_since is not None:
            services.beat(self.run, **told)
            services.give_back(self.run, why="its process was told to end")
            return
        elif code < 0:
            outcome = f"the command was ended by {signal.Signals(-code).name}"
        services.finish(self.run, state=state, outcome=outcome, exit_code=code, **told)

    def _told(self) -> dict[str, Any]:
        return {"log": self.tail.text(), **self.progress.read()}


class ProgressFile:
    """What the command told by `jobs.progress.report`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._latest: dict[str, Any] = {}
        self._curve: list[dict[str, float]] = []

    def read(self) -> dict[str, Any]:
        """The latest of what was told, as fields of a run."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                given = file.read()
        except FileNotFoundError:
            return {}
        whole = given[: given.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))
        return self._latest

    def _take(self, told: dict[str, Any]) -> None:
        if told["figures"]:
            self._curve.append(told["figures"])
            if len(self._curve) > POINTS_KEPT:
                self._curve = self._curve[::2]
        self._latest = {
            "done": max(0, int(told["done"])),
            "of": max(0, int(told["of"])),
            "line": str(told["line"]).replace("\0", "")[:300],
            "curve": self._curve,
        }


class Tail:
    """The last lines of what a command prints, as a terminal would show them: a bar overwrites itself."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._open = ""
        self._lock = threading.Lock()

    def read(self, stream: Any) -> None:
        """Read until the stream ends; for a thread."""
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        while chunk := os.read(stream.fileno(), 8192):
            self.add(decode(chunk))
        stream.close()

    def add(self, text: str) -> None:
        with self._lock:
            *whole, rest = (self._open + text.replace("\0", "")).split("\n")
            self._lines.extend(_as_shown(line) for line in whole)
            # What a later return overwrites need not be kept.
            head, separator, last = rest.rstrip("\r").rpartition("\r")
            self._open = (last if separator else head + last)[-2000:] + ("\r" if rest.endswith("\r") else "")

    def text(self) -> str:
        with self._lock:
            return "\n".join([*self._lines, _as_shown(self._open)]).rstrip()[-CHARACTERS_KEPT:]


def _as_shown(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
