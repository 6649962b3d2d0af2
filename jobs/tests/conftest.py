"""Kinds of jobs whose command is a line of Python: `manage.py shell -c LINE`."""

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from jobs import kinds, running, services
from jobs.kinds import Kind
from jobs.models import JobRun

RESTARTABLE = Kind("practice", "shell", "Practice", restartable=True)
FRAGILE = Kind("fragile", "shell", "Fragile practice")
TRAINING = Kind("training practice", "train", "Training practice", needs_training=True)

StartLine = Callable[..., JobRun]


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    for kind in (RESTARTABLE, FRAGILE, TRAINING):
        kinds.register(kind)
    monkeypatch.setattr(running, "SECONDS_BETWEEN_BEATS", 0.1)


@pytest.fixture
def queue_line(monkeypatch: pytest.MonkeyPatch) -> StartLine:
    """Queues a run of a line of Python without launching a process for it."""

    def queue(line: str = "pass", kind: str = "practice", **more: Any) -> JobRun:
        with monkeypatch.context() as patch:
            patch.setattr(services, "launch", lambda run: None)
            return services.start_job(kind=kind, args=["--no-imports", "-c", line], **more)

    return queue


@pytest.fixture
def _no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is queued waits for the test to take it up."""
    monkeypatch.setattr(services, "launch", lambda run: None)


@pytest.fixture
def make_user(db: None) -> Callable[..., Any]:
    def make(name: str, **fields: Any) -> Any:
        users = get_user_model().objects
        user = users.create_user(name, f"{name}@example.org", "a password of theirs")
        users.filter(pk=user.pk).update(**fields)
        user.refresh_from_db()
        return user

    return make


def database_url_of_test() -> str:
    """The address of the database of this test, for processes that it starts."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
