"""The images are built, and their containers asked, wherever an engine is at hand and CONTAINERS names it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = [
    pytest.mark.library,  # the database is a container's
    pytest.mark.skipif(
        "CONTAINERS" not in os.environ,
        reason="minutes and gigabytes: CONTAINERS=podman (or docker) asks for it",
    ),
]


def test_the_images_build_and_their_containers_answer() -> None:
    """Options of the build, such as a registry's address, come from CONTAINERS_BUILD_OPTIONS."""
    command = [sys.executable, "-m", "bench.containers", "--engine", os.environ["CONTAINERS"]]
    command += [f"--build-options={os.environ.get('CONTAINERS_BUILD_OPTIONS', '')}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"{shlex.join(command)} said:\n{done.stdout[-5000:]}"
    assert "Solve a captcha" in done.stdout
