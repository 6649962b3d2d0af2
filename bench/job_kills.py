"""Jobs whose workers are killed again and again: is one lost, is one at work or done twice?

    .venv-dev/bin/python -m bench.job_kills [--jobs 1000] [--kills 100] [--workers 4] [--database postgresql]

Workers take queued runs up, each in a process that is killed (SIGKILL) at a random moment while it has one,
and replaced. A job is what it is in the service: a management command in a process of its own. It holds a
lock of its own while it works, so that a second process of one run would be seen, and has one effect, a file
that it creates. Every fifth job is of a kind that may not be begun again: killed, it has to end as failed.

Two things save time. Commands start with no app but those of the jobs' own state (`bench.job_settings`), and
silence counts as death after five seconds instead of sixty.
"""

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

from bench.http_server import ROOT, database_at

SILENCE = timedelta(seconds=5)
FRAGILE_EVERY = 5
LINE = """
import fcntl, time
from pathlib import Path
folder = Path({folder!r})

def note(name):
    with (folder / name).open("a") as file:
        file.write("{number} ")

with (folder / "lock-{number}").open("w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("at work twice")
    note("begun")
    time.sleep({seconds})
    try:
        (folder / "effect-{number}").touch(exist_ok=False)
    except FileExistsError:
        note("found done")
"""
forked = multiprocessing.get_context("fork")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, database_at(options.database, Path(name)) as (url, _):
        folder = Path(name)
        chance = random.Random(options.seed)
        prepare(folder, url, options.jobs, chance)
        began = time.monotonic()
        kills = work(options, chance)
        print(
            f"{options.database}, seed {options.seed}, {options.workers} workers, "
            f"{time.monotonic() - began:.0f} s"
        )
        report(folder, options.jobs, kills)


def prepare(folder: Path, url: str, jobs: int, chance: random.Random) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="bench.job_settings", ENV_FILE=os.devnull, DEBUG="1", DATABASE_URL=url
    )
    os.chdir(ROOT)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from jobs import kinds, running, services
    from jobs.models import JobRun

    kinds.register(kinds.Kind("bench", "shell", "Bench", restartable=True))
    kinds.register(kinds.Kind("fragile", "shell", "Fragile bench"))
    running.SECONDS_BETWEEN_BEATS, running.SECONDS_TO_STOP = 0.5, 1.0
    services.LOST_AFTER = SILENCE

    def leave_it_to_the_workers(run: JobRun) -> None: ...

    services.launch = leave_it_to_the_workers
    for number in range(jobs):
        line = LINE.format(folder=str(folder), number=number, seconds=chance.uniform(0, 0.4))
        kind = "bench" if number % FRAGILE_EVERY else "fragile"
        JobRun.objects.create(kind=kind, arguments=["--no-imports", "-c", line])


def work(options: argparse.Namespace, chance: random.Random) -> int:
    """Keep so many workers alive, kill those that have a run, find what they left; how many were killed."""
    from jobs import services
    from jobs.models import JobRun

    workers = [start() for _ in range(options.workers)]
    unfinished = JobRun.objects.filter(state__in=["queued", "running"])
    kills = 0
    try:
        while left := unfinished.count():
            behind = kills < options.kills * min(1.0, (options.jobs - left + 1) / (0.9 * options.jobs))
            at_work = set(JobRun.objects.filter(state="running").values_list("pid", flat=True))
            busy = [number for number, worker in enumerate(workers) if worker.pid in at_work]
            if behind and busy and kills < options.kills:
                victim = chance.choice(busy)
                end(workers[victim])
                workers[victim] = start()
                kills += 1
            services.recover_lost(silent_for=SILENCE)
            time.sleep(chance.uniform(0.1, 0.5))
    finally:
        for worker in workers:
            end(worker)
    return kills


def start() -> BaseProcess:
    """A worker, forked so that it need not load Django again; no connection is handed down."""
    from django.db import connection

    connection.close()
    worker = forked.Process(target=take_up_runs)
    worker.start()
    return worker


def end(worker: BaseProcess) -> None:
    worker.kill()
    worker.join()


def take_up_runs() -> None:
    from jobs import running
    from jobs.models import JobRun

    while True:
        run = JobRun.objects.filter(state="queued").order_by("?").only("pk").first()
        if run:
            running.run(run.pk)
        else:
            time.sleep(0.2)


def report(folder: Path, jobs: int, kills: int) -> None:
    from jobs.models import JobRun
    from jobs.services import MAX_ATTEMPTS

    def noted(name: str) -> Counter[str]:
        return Counter((folder / name).read_text().split() if (folder / name).exists() else [])

    rows = list(JobRun.objects.order_by("pk").values_list("kind", "state", "attempt"))
    ended = Counter((kind, state) for kind, state, _ in rows)
    begun = noted("begun")
    lost = sum(
        state != "failed" and not (folder / f"effect-{number}").exists()
        for number, (_, state, _) in enumerate(rows)
    )
    succeeded = sum(state == "succeeded" for _, state, _ in rows)
    print(
        f"{jobs} jobs, {kills} SIGKILLs of workers that had one: {succeeded} succeeded; {lost} lost; "
        f"{sum(noted('at work twice').values())} at work twice at a time\n"
        f"may not be begun again: {ended['fragile', 'failed']} failed, "
        f"{sum(begun[str(number)] > 1 for number in range(0, jobs, FRAGILE_EVERY))} begun again\n"
        f"restartable: taken up again {sum(attempt - 1 for _, _, attempt in rows)} times, of which "
        f"{sum(noted('found done').values())} found their effect there; "
        f"{ended['bench', 'failed']} failed, killed {MAX_ATTEMPTS} times"
    )


if __name__ == "__main__":
    main()
