"""A run from its start to its end, with real processes, and what becomes of it when one of them is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from jobs import running, services
from jobs.models import JobRun
from jobs.tests.conftest import StartLine, database_url_of_test

SECONDS = 60.0

RUNNER = """
import sys, django
django.setup()
from django.core.management import call_command
from jobs import kinds, running, services
from jobs.tests.conftest import FRAGILE, RESTARTABLE
kinds.register(RESTARTABLE); kinds.register(FRAGILE)
running.SECONDS_BETWEEN_BEATS = 0.1
services.launch = lambda run: None  # the test takes up what is queued again
call_command("run_job", sys.argv[1])
"""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class InBackground:
    """`running.run` in a thread of its own, as a process beside this one would do it."""

    def __init__(self, run: JobRun) -> None:
        self.ended: JobRun | None = None
        self._run = run
        self.thread = threading.Thread(target=self._to_the_end)
        self.thread.start()

    def _to_the_end(self) -> None:
        try:
            self.ended = running.run(self._run.pk)
        finally:
            connection.close()

    def result(self) -> JobRun | None:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return self.ended


@pytest.fixture
def runner() -> Iterator[Callable[[JobRun], "subprocess.Popen[bytes]"]]:
    """Starts a runner as a process that can be killed."""
    started = []

    def start(run: JobRun) -> "subprocess.Popen[bytes]":
        environment = os.environ | {"DATABASE_URL": database_url_of_test()}
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(run.pk)],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.mark.django_db
def test_a_run_keeps_what_its_command_printed_and_told(queue_line: StartLine) -> None:
    run = queue_line(
        "import sys; from jobs.progress import report; "
        "report(1, 4, 'begun', step=1, loss=2.5); report(4, 4, 'ready', step=2, loss=0.5); "
        "sys.stderr.write(' 10%|#\\r 90%|###\\rsaid\\n'); print('Ω')"
    )
    ended = running.run(run.pk)
    assert ended is not None
    assert (ended.state, ended.exit_code, ended.outcome) == ("succeeded", 0, "")
    assert sorted(ended.log.splitlines()) == ["said", "Ω"]
    assert (ended.done, ended.of, ended.line) == (4, 4, "ready")
    assert ended.curve == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.5}]
    assert ended.started
    assert ended.finished


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("line", "code", "outcome"),
    [
        ("raise SystemExit(3)", 3, "the command ended with exit code 3"),
        ("1 / 0", 1, "the command ended with exit code 1"),
        ("import os; os.abort()", -signal.SIGABRT, "the command was ended by SIGABRT"),
    ],
)
def test_a_run_that_fails_says_how(queue_line: StartLine, line: str, code: int, outcome: str) -> None:
    ended = running.run(queue_line(line).pk)
    assert ended is not None
    assert (ended.state, ended.exit_code, ended.outcome) == ("failed", code, outcome)
    assert "ZeroDivisionError" in ended.log or "/" not in line


@pytest.mark.django_db
def test_what_was_delivered_twice_or_cancelled_before_runs_once_or_not(queue_line: StartLine) -> None:
    run, cancelled = queue_line(), queue_line()
    assert services.cancel(run=cancelled)
    assert running.run(run.pk) is not None
    assert running.run(run.pk) is None
    assert running.run(cancelled.pk) is None
    assert running.run(10**12) is None


@pytest.mark.django_db(transaction=True)
def test_two_runners_of_one_run_do_its_work_once(queue_line: StartLine, tmp_path: Path) -> None:
    run = queue_line(f"open({str(tmp_path / 'done')!r}, 'a').write('x')")
    results = [one.result() for one in [InBackground(run) for _ in range(4)]]
    assert sum(result is not None for result in results) == 1
    assert (tmp_path / "done").read_text() == "x"


@pytest.mark.django_db(transaction=True)
def test_cancelling_stops_the_command_and_what_it_started(queue_line: StartLine) -> None:
    run = queue_line(
        "import subprocess, time; p = subprocess.Popen(['sleep', '600']); "
        "print('pid', p.pid); time.sleep(600)"
    )
    background = InBackground(run)
    until(lambda: "pid" in JobRun.objects.get(pk=run.pk).log)
    grandchild = int(JobRun.objects.get(pk=run.pk).log.split()[-1])
    assert alive(grandchild)
    assert services.cancel(run=run)
    ended = background.result()
    assert ended is not None
    assert (ended.state, ended.outcome) == ("cancelled", "cancelled")
    until(lambda: not alive(grandchild))
    assert not services.cancel(run=run)


@pytest.mark.django_db(transaction=True)
def test_a_command_that_will_not_stop_is_killed(
    queue_line: StartLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SECONDS_TO_STOP", 0.2)
    run = queue_line(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    )
    background = InBackground(run)
    until(lambda: "deaf" in JobRun.objects.get(pk=run.pk).log)
    services.cancel(run=run)
    ended = background.result()
    assert ended is not None
    assert (ended.state, ended.exit_code) == ("cancelled", -signal.SIGKILL)


COUNTED = """
import os, time
from pathlib import Path
folder = Path({folder!r})
(folder / "begun").open("a").write(f"{{os.getpid()}}\\n")
print("ready", flush=True)
while not (folder / "go").exists(): time.sleep(0.02)
(folder / "effect").open("a").write("x")
"""


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db(transaction=True)
def test_a_run_whose_runner_is_killed_is_found_and_done_once(
    queue_line: StartLine, runner: Callable[[JobRun], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    run = queue_line(COUNTED.format(folder=str(tmp_path)))
    first = runner(run)
    until(lambda: "ready" in JobRun.objects.get(pk=run.pk).log)
    command = int((tmp_path / "begun").read_text())
    first.kill()
    first.wait()
    until(lambda: not alive(command))  # a killed runner's command ends by itself

    assert services.recover_lost() == 0  # its last sign of life is too young
    assert services.recover_lost(silent_for=timedelta(0)) == 1
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 1)
    assert services.recover_lost(silent_for=timedelta(0)) == 0

    (tmp_path / "go").touch()
    ended = running.run(run.pk)
    assert ended is not None
    assert (ended.state, ended.attempt) == ("succeeded", 2)
    assert len((tmp_path / "begun").read_text().split()) == 2
    assert (tmp_path / "effect").read_text() == "x"


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db(transaction=True)
def test_a_killed_run_that_must_not_be_repeated_has_failed(
    queue_line: StartLine, runner: Callable[[JobRun], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    run = queue_line(COUNTED.format(folder=str(tmp_path)), kind="fragile")
    first = runner(run)
    until(lambda: "ready" in JobRun.objects.get(pk=run.pk).log)
    first.kill()
    first.wait()
    services.recover_lost(silent_for=timedelta(0))
    run.refresh_from_db()
    assert run.state == "failed"
    assert "no sign of life" in run.outcome
    assert running.run(run.pk) is None


@pytest.mark.usefixtures("_no_launch")
@pytest.mark.django_db(transaction=True)
def test_a_runner_that_is_told_to_end_gives_its_run_back(
    queue_line: StartLine, runner: Callable[[JobRun], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    """As when the machine is shut down: the next process goes on at once, without waiting for silence."""
    run = queue_line(COUNTED.format(folder=str(tmp_path)))
    first = runner(run)
    until(lambda: "ready" in JobRun.objects.get(pk=run.pk).log)
    first.terminate()
    first.wait()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 1)
    assert not alive(int((tmp_path / "begun").read_text()))
    (tmp_path / "go").touch()
    ended = running.run(run.pk)
    assert ended is not None
    assert ended.state == "succeeded"
    assert (tmp_path / "effect").read_text() == "x"


@pytest.mark.django_db(transaction=True)
def test_a_runner_whose_run_was_given_to_another_stops_its_command(
    queue_line: StartLine, tmp_path: Path
) -> None:
    run = queue_line(COUNTED.format(folder=str(tmp_path)))
    background = InBackground(run)
    until(lambda: "ready" in JobRun.objects.get(pk=run.pk).log)
    JobRun.objects.filter(pk=run.pk).update(attempt=2, line="the other's")
    background.result()
    assert not (tmp_path / "effect").exists()
    assert not alive(int((tmp_path / "begun").read_text()))
    run.refresh_from_db()
    assert (run.state, run.line) == ("running", "the other's")
