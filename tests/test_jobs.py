"""Jobs as they are launched: a child process of the service, and Celery's workers."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.management import call_command

from jobs import services
from jobs.models import JobRun
from jobs.tests.conftest import database_url_of_test

SECONDS = 60.0

WORKER = """
import json, sys
from jobs.worker import app
app.conf.update(json.loads(sys.argv[1]))
app.worker_main(["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=WARNING"])
"""


def by_files(folder: Path) -> dict[str, Any]:
    """Settings of Celery for messages as files of a folder: a broker that needs no server."""
    return {
        "broker_url": "filesystem://localhost",
        "broker_transport_options": {
            "data_folder_in": f"{folder}/messages",
            "data_folder_out": f"{folder}/messages",
            "control_folder": f"{folder}/control",
            "polling_interval": 0.05,
        },
    }


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def ended(run: JobRun) -> bool:
    run.refresh_from_db()
    return run.ended


@pytest.mark.django_db(transaction=True)
def test_a_job_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url_of_test())
    run = services.start_job(kind="evaluate", args=["--help"])
    until(lambda: ended(run))
    assert run.state == "succeeded"
    assert run.log.startswith("usage: manage.py evaluate")
    assert run.pid != os.getpid()


@pytest.mark.django_db(transaction=True)
def test_a_line_of_cron_takes_up_what_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url_of_test())
    run = JobRun.objects.create(kind="evaluate", arguments=["--help"])
    JobRun.objects.update(created=run.created - 2 * services.OVERDUE)
    call_command("run_due_jobs")
    assert "1 launched again" in capsys.readouterr().out
    until(lambda: ended(run))
    assert run.state == "succeeded"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Path]:
    """A worker of Celery on the database of this test; gives the folder of its messages."""
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORKER, json.dumps(by_files(tmp_path))],
        cwd=site_settings.BASE_DIR,
        env=os.environ | {"DATABASE_URL": database_url_of_test()},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield tmp_path
    process.kill()
    process.wait()


def connect_to(**broker: Any) -> None:
    from jobs.worker import app

    app.conf.update(**broker)
    app._after_fork()  # forgets the connections to what was the broker before


@pytest.mark.django_db(transaction=True)
def test_celery_runs_a_job_once_however_often_its_message_comes(worker: Path, settings: Any) -> None:
    connect_to(**by_files(worker))
    settings.CELERY_BROKER_URL = "filesystem://localhost"
    run = services.start_job(kind="evaluate", args=["--help"])
    services.launch(run)
    last = services.start_job(kind="evaluate", args=["--help"])
    until(lambda: ended(last) and not list((worker / "messages").iterdir()))
    assert last.state == "succeeded"
    assert ended(run)
    assert (run.state, run.attempt) == ("succeeded", 1)


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_does_not_answer_loses_no_job(settings: Any) -> None:
    connect_to(broker_url="redis://127.0.0.1:1/0", broker_transport_options={})
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    run = services.start_job(kind="evaluate", args=["--help"])
    run.refresh_from_db()
    assert run.state == "queued"
    assert run.line.startswith("waits: the broker does not answer")
