"""Jobs by Celery: `celery -A jobs.worker worker`, with CELERY_BROKER_URL set and requirements/worker.txt.

A message only names a run. Whoever gets it claims the run in the database, so that a message that comes
twice, or comes again because a worker died, starts nothing twice.
"""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "captcha_site.settings")

from celery import Celery
from django.conf import settings

from jobs.kinds import Kind

QUEUE = "jobs"
TRAINING_QUEUE = "training"
"""For workers of the environment that trains: `celery -A jobs.worker worker -Q training`."""

app = Celery("jobs")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,  # the row of the run says it all
    task_acks_late=True,  # a message is done with when its run has ended …
    task_reject_on_worker_lost=True,  # … and comes again when the worker died
    worker_prefetch_multiplier=1,  # a long job holds back no other
    task_default_queue=QUEUE,
    task_queues={QUEUE: {}, TRAINING_QUEUE: {}},
    worker_hijack_root_logger=False,
    beat_schedule={"due jobs": {"task": "jobs.run_due_jobs", "schedule": 60.0}},
)


def queue_of(kind: Kind) -> str:
    return TRAINING_QUEUE if kind.needs_training else QUEUE


@app.task(name="jobs.run_job")
def run_job(run_id: int) -> None:
    from jobs.running import run

    run(run_id)


@app.task(name="jobs.run_due_jobs")
def run_due_jobs() -> None:
    from jobs.services import launch_overdue, recover_lost, run_due_schedules

    recover_lost()
    launch_overdue()
    run_due_schedules()
