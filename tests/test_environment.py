"""What conftest.py promises to every test."""

import socket
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_the_chosen_database_is_used(request: pytest.FixtureRequest) -> None:
    assert connection.vendor == request.config.getoption("--db")
    if connection.vendor == "sqlite":
        assert Path(connection.settings_dict["NAME"]).is_file()


def test_nothing_leaves_this_machine() -> None:
    with socket.socket() as outside, pytest.raises(AssertionError, match=r"198\.51\.100\.7"):
        outside.connect(("198.51.100.7", 80))  # an address of documentation (RFC 5737)


def test_a_developers_own_settings_are_not_read() -> None:
    assert not settings.ENV_FILE.is_file()
    assert settings.BASE_DIR not in settings.ARTIFACTS_ROOT.parents
