"""Every command of the project, as typed: its help, its quiet, and one line where the input is bad."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connections

from captcha_site.command_line import GROUPS, CommandLine, commands_by_task, own_commands
from ml import registry
from ml.services import install_shipped_models
from ml.tests.artifacts import picture, write_reader

COMMANDS = sorted(own_commands())
BAD: dict[str, list[str]] = {
    "audit": ["no slug!", "--images", "."],
    "backup": ["--to", "/dev/null/archives"],
    "crawl": ["nowhere"],
    "create_api_key": ["nobody", "--name", "x"],
    "cross_validate": ["shop", "--images", "/no/such/folder"],
    "deliver_callbacks": ["--for-ever-and-ever"],
    "evaluate": ["nothing", "--images", "."],
    "freeze_dataset": ["nothing"],
    "import_images": ["nothing", "."],
    "import_sources": ["/no/such/file.yaml"],
    "learning_curve": ["shop", "--images", "/no/such/folder"],
    "practice_site": ["--port", "many"],
    "pretrain": ["--keep", "2"],
    "promote": ["nothing", "7"],
    "read_samples": ["nothing"],
    "register_model": ["/no/such/folder"],
    "reset_two_factor": ["nobody"],
    "restore": ["/no/such/archive.tar"],
    "roll_back": ["nothing"],
    "run_job": ["first"],
    "shadow": ["nothing", "1"],
    "solve": ["/no/such/picture.png"],
    "train": ["no slug!", "--images", "."],
    "train_dataset": ["nothing", "1"],
}
"""Input that a command has to refuse. The others take none: they are given an unknown option."""


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 columns wide; and commands leave the connection of the test open, which they close at their end.

    Nor do they set Django up again: that closes every handler of the log, and TensorFlow's, where another
    test has imported it, takes the file along that pytest captures standard error in.
    """
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(django, "setup", lambda: None)
    monkeypatch.setattr(connections, "close_all", lambda: None)


def type_in(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, output and errors of ``manage.py WORDS``."""
    capfd.readouterr()
    status = 0
    try:
        CommandLine(["manage.py", *words]).execute()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    told = capfd.readouterr()
    return status, told.out, told.err


def test_help_groups_the_projects_commands_before_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    status, out, _ = type_in(capfd, "help")
    assert status == 0
    places = [out.index(f"\n{group}\n") for group in (*GROUPS, "Of Django and of the libraries")]
    assert places == sorted(places)
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S.{{9}}", out, re.MULTILINE), name
    assert out.index("auth: changepassword, createsuperuser") > places[-1]
    assert max(map(len, out.splitlines())) <= 100
    assert type_in(capfd)[1] == out


def test_each_command_is_in_one_group() -> None:
    named = [name for commands in commands_by_task().values() for name in commands]
    assert sorted(named) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = type_in(capfd, name, "--help")
    assert (status, err) == (0, "")
    assert "usage: manage.py " + name in out
    assert "--verbosity" in out
    undocumented = re.findall(r"^  (--[a-z-]+)(?: [A-Z]+)?$(?!\n {6})", out, re.MULTILINE)
    assert not undocumented or load_command_class(get_commands()[name], name).help


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.django_db
def test_bad_input_ends_with_one_line_that_says_what_is_wrong(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, err = type_in(capfd, name, *BAD.get(name, ["--no-such-option"]))
    assert status != 0
    assert "Traceback" not in out + err
    last = err.strip().splitlines()[-1]
    assert re.match(r"(CommandError|manage\.py \w+: error): ", last), last
    assert len(last) > 30


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:///{folder}/new.sqlite3", "The database is not prepared (no such table: ml_modelversion)."),
        ("postgresql://a:b@127.0.0.1:1/c", "The database does not answer: connection to server at"),
    ],
)
def test_a_database_that_cannot_be_used_ends_a_command_with_one_line(
    url: str, told: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "models"],
        env=os.environ | {"DEBUG": "1", "DATABASE_URL": url.format(folder=tmp_path)},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(told)


def test_an_interpreter_without_django_is_told_which_one_to_use() -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-S", settings.BASE_DIR / "manage.py", "models"],
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert re.search(r"not installed for .+ Run: \.venv\S*/bin/python manage\.py", ended.stderr)


@pytest.mark.django_db
def test_a_file_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    registry.reset()
    _, _, err = type_in(capfd, "solve", "/no/such.png")
    assert "/no/such.png: No such file or directory" in err
    assert "Errno" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["check_ledger"], ["models"], ["prune"], ["settle_reports"], ["delete_kept_images"],
        ["deliver_callbacks"], ["run_due_jobs"], ["settle_trainings"],
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_figures_come_as_json_and_nothing_beside(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = type_in(capfd, *words, "--json")
    assert (status, err) == (0, "")
    assert isinstance(json.loads(out), dict | list)


@pytest.mark.parametrize(
    "words",
    [["check_ledger"], ["prune"], ["settle_reports"], ["delete_kept_images"], ["run_due_jobs"], ["prepare"]],
)
@pytest.mark.django_db
def test_with_verbosity_0_success_is_silent(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert type_in(capfd, *words, "--verbosity", "0") == (0, "", "")


@pytest.mark.django_db
def test_with_verbosity_0_the_answer_that_was_asked_for_is_there(
    tmp_path: Path, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.SHIPPED_ARTIFACTS = tmp_path / "shipped"
    registry.reset()
    write_reader(tmp_path / "shipped", "general", text="GENERAL")
    install_shipped_models()
    (tmp_path / "one.png").write_bytes(picture())
    status, out, _ = type_in(capfd, "solve", str(tmp_path / "one.png"), "--verbosity", "0")
    assert (status, out.split()[1]) == (0, "GENERAL")
    assert type_in(capfd, "models", "--verbosity", "0")[1].startswith("general/1")
    registry.reset()
