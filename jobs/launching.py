"""How a process for a run comes about: a message to Celery's workers, or a child of this process."""

import subprocess
import sys
import threading

from django.conf import settings

from jobs.kinds import kind_named
from jobs.models import JobRun


class CannotLaunch(Exception):
    """No process could be asked for now."""


def launch(run: JobRun) -> None:
    """Raises CannotLaunch."""
    if settings.CELERY_BROKER_URL:
        _send(run)
    else:
        _spawn(run)


def _send(run: JobRun) -> None:
    from kombu.exceptions import OperationalError  # Celery is installed only where it is used

    from jobs.worker import queue_of, run_job

    try:
        run_job.apply_async(
            [run.pk],
            queue=queue_of(kind_named(run.kind)),
            retry=True,
            retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_step": 0.3},
        )
    except OperationalError as error:
        raise CannotLaunch(f"the broker does not answer ({error})") from error


def _spawn(run: JobRun) -> None:
    """A session of its own: it outlives this process, whose Ctrl-C and restarts do not reach it."""
    try:
        runner = subprocess.Popen(
            [sys.executable, "manage.py", "run_job", str(run.pk)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotLaunch(str(error)) from error
    # Somebody has to take note of its end, or it stays in the table of processes as long as this one lives.
    threading.Thread(target=runner.wait, daemon=True).start()
