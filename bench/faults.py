"""What clients see while parts of the service fail, one after the other; nothing is lost nor charged twice.

    python bench/faults.py [--seconds 3] [--clients 4]

Clients post images without end to a gunicorn with two workers, on a PostgreSQL and a Valkey or Redis of its
own, each image under an Idempotency-Key, and repeat what was not answered. Meanwhile: PostgreSQL stops as if
its power were cut, and comes back; the cache stops; the disk of the kept images is full; the files of a
serving version are gone while the workers are killed. Every answer must be 200, 402, 422, or a 503 with
Retry-After. At the end the same checks as in `bench/http_kills.py`. The status is 1 when something does not
hold.
"""

import argparse
import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from queue import Empty

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_kills import Run, report
from bench.http_server import (
    ROOT,
    Server,
    gunicorn,
    images_of,
    keep_what_is_committed,
    new_account,
    prepared,
)
from bench.replicas import ask, valkey
from tests.postgresql import Cluster

BALANCE = 1_000_000
SLUG = "captcha_type_a"
REPEATED_WELL = {
    "HTTP 503",
    "HTTP 409",
    "ConnectionResetError",
    "RemoteDisconnected",
    "ConnectionRefusedError",
}
"""After what a request may have to be repeated; the last three are a worker that was killed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each fault lasts")
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        artifacts = folder / "artifacts"
        shutil.copytree(ROOT / "ml" / "artifacts", artifacts)
        cache = stack.enter_context(ExitStack())
        os.environ["CACHE_URL"] = cache.enter_context(valkey(folder))
        os.environ["SOLVED_IMAGES_ROOT"] = str(folder / "solved")
        images = images_of(None, 50)
        cluster = stack.enter_context(prepared("postgresql", artifacts))
        assert cluster is not None
        keep_what_is_committed()
        token = new_account(balance=BALANCE)
        server = stack.enter_context(gunicorn(workers=2))
        run = Faults(server, token, images, arguments.seconds)
        run.faults = {
            "none": lambda: time.sleep(arguments.seconds),
            "PostgreSQL gone": lambda: run.without_database(cluster),
            "cache gone": lambda: run.during(cache.close),
            "disk of images full": lambda: run.with_full_disk(folder / "solved"),
            "workers killed, a version's files gone": lambda: run.without_artifact(artifacts / SLUG),
        }
        run.go(clients=arguments.clients, kills=0)
        bad = {what: count for what, count in run.retried.items() if what not in REPEATED_WELL}
        wrong = report(run, BALANCE)
        print(f"  {'NO ' if bad else 'yes'}  every answer was final or a 503 with Retry-After {bad or ''}")
        print(f"  {'yes' if run.recovered else 'NO '}  solving came back by itself after each fault")
        sys.exit(1 if wrong or bad or not run.recovered else 0)


class Endless:
    """Work until it is told to end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.numbers = itertools.count()

    def get_nowait(self) -> int:
        if self.ended.is_set():
            raise Empty
        return next(self.numbers)


class Faults(Run):
    """The clients of `http_kills`, and faults in place of the killer."""

    faults: dict[str, Callable[[], None]]

    def __init__(self, server: Server, token: str, images: list[bytes], seconds: float) -> None:
        super().__init__(server, token, images, solves=0)
        self.seconds = seconds
        self.work = Endless()  # type: ignore[assignment]
        self.recovered = True

    def _kill(self, kills: int, restarts: int, threads: list[threading.Thread]) -> None:
        try:
            for name, fault in self.faults.items():
                answered, repeated = self.statuses.copy(), self.retried.copy()
                fault()
                back = self._until_solved()
                self.recovered &= back is not None
                print(
                    f"{name}: answered {_told(self.statuses, answered)}, repeated after "
                    f"{_told(self.retried, repeated)}; solved again after {back or float('inf'):.2f} s"
                )
        finally:
            self.work.ended.set()  # type: ignore[attr-defined]

    def _until_solved(self) -> float | None:
        """Seconds until the next 200, from now; None when there is none in a minute."""
        started, before = time.monotonic(), self.statuses[200]
        while time.monotonic() - started < 60:
            if self.statuses[200] > before:
                return time.monotonic() - started
            time.sleep(0.02)
        return None

    def during(self, fault: Callable[[], object]) -> None:
        fault()
        time.sleep(self.seconds)

    def without_database(self, cluster: Cluster) -> None:
        self.during(cluster.halt)
        status, body = ask(self.server.port, "GET", "/readyz")
        print(f"  meanwhile /readyz: {status} {body.decode()}")
        cluster.resume()

    def with_full_disk(self, folder: Path) -> None:
        """A file system of 64 KiB over the folder; where none may be mounted, a file in its place."""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
        ).returncode
        if mounted == 0:
            self.during(lambda: None)
            subprocess.run(["umount", str(folder)], check=True)
            return
        print("  (nothing can be mounted here: a file takes the folder's place)")
        aside = folder.with_name("aside")
        folder.rename(aside)
        folder.touch()
        self.during(lambda: None)
        folder.unlink()
        aside.rename(folder)

    def without_artifact(self, folder: Path) -> None:
        """New workers find no files of the version that serves: others read, and it is named."""
        aside = folder.with_name("aside")
        folder.rename(aside)
        for worker in self.server.workers():
            os.kill(worker, signal.SIGKILL)
            self.killed += 1
        time.sleep(self.seconds)
        while (answer := _ready(self.server.port)) is None:
            time.sleep(0.1)
        print(f"  meanwhile /readyz: {answer}")
        aside.rename(folder)


def _ready(port: int) -> str | None:
    """Status and body of /readyz; None while no worker is there to answer."""
    try:
        status, body = ask(port, "GET", "/readyz")
    except OSError:
        return None
    return f"{status} {body.decode()}"


def _told(after: Counter[int] | Counter[str], before: Counter[int] | Counter[str]) -> str:
    grown = {name: count - before[name] for name, count in after.items()}  # type: ignore[index]
    return ", ".join(f"{count:,} × {name}" for name, count in grown.items() if count) or "nothing"


if __name__ == "__main__":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)
    main()
