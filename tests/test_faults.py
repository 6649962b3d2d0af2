"""Parts of the service fail while it is used. The long version is `bench/faults.py`; this runs it, short."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.library  # it starts a PostgreSQL of its own: once is enough
def test_nothing_is_lost_and_solving_comes_back_by_itself() -> None:
    command = [sys.executable, "bench/faults.py", "--seconds", "1", "--clients", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "NO " not in done.stdout
    assert "captcha_type_a/2 cannot be loaded" in done.stdout
