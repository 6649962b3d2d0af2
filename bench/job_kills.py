"""Jobs whose workers are killed again and again: is one lost, is one at work twice at a time?

    .venv-dev/bin/python -m bench.job_kills [--jobs 1000] [--kills 100] [--workers 4]

Workers take queued runs up on one SQLite database, each in a process that is killed (SIGKILL) at random
moments and replaced. The jobs are restartable: each holds a lock of its own while it works, so that a second
process of one run would be seen, and leaves its mark by a file that it creates once. Silence counts as death
after five seconds instead of sixty, to save time.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bench.http_server import ROOT

SILENCE = 5.0
LINE = """
import fcntl, time
from pathlib import Path
folder = Path({folder!r})
with (folder / "lock-{number}").open("w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (folder / "twice").open("a").write("{number} ")
    (folder / "begun").open("a").write("{number} ")
    time.sleep(0.2)
    (folder / "done-{number}").touch()
"""
WORKER = """
import sys, time
import django
django.setup()
from datetime import timedelta
from jobs import kinds, running, services
from jobs.models import JobRun
kinds.register(kinds.Kind("bench", "shell", "Bench", restartable=True))
services.launch = lambda run: None
services.LOST_AFTER = timedelta(seconds=float(sys.argv[1]))
running.SECONDS_BETWEEN_BEATS, running.SECONDS_TO_STOP = 0.5, 1.0
while True:
    run = JobRun.objects.filter(state="queued").order_by("?").first()
    running.run(run.pk) if run else time.sleep(0.2)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, options.jobs)
        work(options)
        report(folder, options)


def prepare(folder: Path, jobs: int) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="captcha_site.settings",
        ENV_FILE=os.devnull,
        DEBUG="1",
        DATABASE_URL=f"sqlite:///{folder / 'bench.sqlite3'}",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from jobs.models import JobRun

    for number in range(jobs):
        line = LINE.format(folder=str(folder), number=number)
        JobRun.objects.create(kind="bench", arguments=["--no-imports", "-c", line])


def work(options: argparse.Namespace) -> None:
    """Keep so many workers alive, kill one now and then, and find what the killed ones left."""
    from jobs import kinds, services
    from jobs.models import JobRun

    kinds.register(kinds.Kind("bench", "shell", "Bench", restartable=True))
    services.launch = lambda run: None
    chance = random.Random(1)
    workers = [start() for _ in range(options.workers)]
    unfinished = JobRun.objects.filter(state__in=["queued", "running"])
    kills, every = 0, max(1, options.jobs // options.kills)
    try:
        while left := unfinished.count():
            if kills < options.kills and (options.jobs - left) // every >= kills:
                victim = chance.randrange(len(workers))
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = start()
                kills += 1
            services.recover_lost(silent_for=timedelta(seconds=SILENCE))
            time.sleep(chance.uniform(0.2, 1.0))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    options.killed = kills


def start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(SILENCE)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def report(folder: Path, options: argparse.Namespace) -> None:
    from jobs.models import JobRun

    succeeded = JobRun.objects.filter(state="succeeded").count()
    missing = options.jobs - len(list(folder.glob("done-*")))
    twice = folder / "twice"
    overlaps = len(twice.read_text().split()) if twice.exists() else 0
    again = sum(JobRun.objects.values_list("attempt", flat=True)) - options.jobs
    print(
        f"{options.jobs} jobs, {options.killed} SIGKILLs of workers: {succeeded} succeeded, {missing} lost, "
        f"{overlaps} at work twice at a time; {again} taken up again after a kill"
    )


if __name__ == "__main__":
    main()
