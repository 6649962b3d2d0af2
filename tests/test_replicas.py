"""Several servers act as one. The long version with figures is `bench/replicas.py`; this runs it, short."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.library  # it starts a PostgreSQL of its own: once is enough
def test_two_servers_behind_the_proxy_share_limits_lock_outs_and_promotions() -> None:
    command = [sys.executable, "bench/replicas.py", "--servers", "2", "--reads", "110"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.count("yes ") == 5
