"""Parts of the service fail, or are misused, while clients solve. The long versions are below `bench/`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# They start a PostgreSQL of their own: once is enough.
pytestmark = pytest.mark.library


def run(script: str, *options: str) -> str:
    """What the benchmark prints; it says NO where something does not hold."""
    command = [sys.executable, f"bench/{script}.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "NO " not in done.stdout
    return done.stdout


def test_nothing_is_lost_and_solving_comes_back_by_itself() -> None:
    said = run("faults", "--seconds", "1", "--clients", "2")
    assert "captcha_type_a/3 cannot be loaded" in said


def test_no_credit_is_lost_or_spent_twice_when_workers_and_the_database_are_killed() -> None:
    options = {"--solves": 150, "--balance": 40, "--clients": 4, "--kills": 4, "--restarts": 1}
    said = run("http_kills", *(str(word) for pair in options.items() for word in pair))
    assert "1 restarts of the database" in said


def test_retries_at_once_are_one_solve() -> None:
    assert "20 of 20 keys: one answer for all" in run("retries", "--keys", "20", "--retries", "5")


def test_hostile_uploads_do_no_harm() -> None:
    said = run("hostile_uploads", "--uploads", "400", "--longest", "60")
    assert "no 5xx and no connection without an answer" in said
