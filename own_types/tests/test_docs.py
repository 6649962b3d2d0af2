"""docs/own-type.md: the commands do what the page says, as they are printed."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts import api_keys
from accounts.models import User
from labeling.tests.conftest import drawn
from labeling.training import promote_and_read
from ml import registry
from ml.models import CaptchaType
from own_types import trainings
from own_types.tests.conftest import order

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-type.md"
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("readers", "_no_launch")
def test_each_command_reads_with_the_own_type(
    ada: User,
    eve: User,
    gate: CaptchaType,
    run_training: Callable[..., None],
    live_server: Any,
    tmp_path: Path,
) -> None:
    run_training(order(ada, gate), text="A0")
    trainings.settle_all()
    promote_and_read(captcha_type=gate, number=1, reason="", force=False, by=ada)
    registry.reset()
    (tmp_path / "captcha.png").write_bytes(drawn("A0"))
    keys = {user: api_keys.create(user=user, name="a program")[1] for user in (ada, eve)}

    def said(command: str, user: User) -> str:
        ran = subprocess.run(
            ["bash", "-euc", command.replace("http://127.0.0.1:8000", live_server.url)],
            cwd=tmp_path,
            env=os.environ | {"KEY": keys[user], "TYPE": gate.slug},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert len(COMMANDS) == 4
    for command in COMMANDS:
        answer = said(command, ada)
        if "in.php" in command:  # it answers with an id
            number = re.search(r"\d{5,}", answer)
            assert number is not None
            answer = said(
                f"curl -sS '{live_server.url}/res.php?key={keys[ada]}&action=get&id={number[0]}'", ada
            )
        assert "A0" in answer, command
        assert "A0" not in said(command, eve), command
