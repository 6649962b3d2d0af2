"""`make run`: what it leaves for the commands that are typed beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bin.run import keep_debug

ROOT = Path(__file__).resolve().parent.parent


def manage(file: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """As in a shell in which nothing is set."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DEBUG", "SECRET_KEY")
    } | {"ENV_FILE": str(file)}
    return subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_a_missing_env_file_is_written_so_that_commands_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / ".env"
    assert "create_api_key" not in manage(file, "help").stdout
    keep_debug(file)
    assert f"Wrote DEBUG=1 into {file}" in capsys.readouterr().out
    assert "create_api_key" in manage(file, "help").stdout


@pytest.mark.parametrize(("kept", "said"), [("DEBUG=0\n", ""), ("LOG_LEVEL=INFO\n", "add the line DEBUG=1")])
def test_an_env_file_that_is_there_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str, said: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(kept)
    keep_debug(file)
    assert file.read_text() == kept
    assert said in capsys.readouterr().out


def test_the_checks_for_production_refuse_what_it_wrote(tmp_path: Path) -> None:
    keep_debug(tmp_path / ".env")
    checked = manage(tmp_path / ".env", "check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode != 0
    assert "DEBUG set to True" in checked.stderr
