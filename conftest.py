"""How every test runs: on which database, with which settings, and without the network outside.

``pytest`` uses SQLite; ``pytest --db=postgresql`` starts a PostgreSQL of its own for the run.
"""

import argparse
import atexit
import ipaddress
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.chromium import chromium
from tests.postgresql import Cluster

__all__ = ["chromium"]

ROOT = Path(__file__).resolve().parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db", choices=["sqlite", "postgresql"], default="sqlite", help="the database to test on"
    )


def _prepare_environment() -> None:
    """Django's settings read DATABASE_URL when they load, which is before pytest parses its options."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker inherits all of this
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--db", default="sqlite")
        folder = Path(tempfile.mkdtemp(prefix="tests-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="captcha_site.settings",
            ENV_FILE=os.devnull,
            SECRET_KEY="a key for tests alone, of sufficient length: 0123456789",
            DEBUG="1",
            DATABASE_URL=f"sqlite:///{folder / 'db.sqlite3'}",
            ARTIFACTS_ROOT=str(folder / "artifacts"),
            CALLBACKS_AT_ONCE="0",
            SOLVED_IMAGES_ROOT=str(folder / "solved"),
            SAMPLES_ROOT=str(folder / "samples"),
            DATASETS_ROOT=str(folder / "datasets"),
        )
        if parser.parse_known_args(sys.argv[1:])[0].db == "postgresql":
            cluster = Cluster()
            atexit.register(cluster.stop)
            os.environ["DATABASE_URL"] = cluster.url

    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        # A file, because threads that share one in-memory database block each other as no real one does.
        database.setdefault("TEST", {})["NAME"] = database["NAME"] + ".test"
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher"
    ]  # the slow one costs 0.2 s a user

    import django

    django.setup()  # before the apps' conftest files import their models


_prepare_environment()

# A busy machine makes no property false: no time limits.
hypothesis_settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (ROOT / "ml" / "recognition") in item.path.parents:
            item.add_marker(pytest.mark.library)


@pytest.fixture(autouse=True, scope="session")
def _ledger_can_be_emptied() -> Iterator[None]:
    """The triggers that keep the ledger append-only stand aside while a transactional test cleans up."""
    from django.db import connection
    from django.test import TransactionTestCase

    from accounts import append_only

    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def flush_without_triggers(self: TransactionTestCase) -> None:
        with append_only.put_aside(connection):
            flush(self)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(TransactionTestCase, "_fixture_teardown", flush_without_triggers)
        yield


@pytest.fixture(autouse=True)
def _no_network_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would leave this machine fails at once instead of depending on somebody's server."""
    connect = socket.socket.connect

    def connect_inside(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise AssertionError(f"a test tried to connect to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_inside)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
