"""The throw-away PostgreSQL of the test run itself."""

from pathlib import Path
from typing import Any

import pytest

from tests import postgresql


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "initdb"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(postgresql, "_candidates", lambda: iter([tmp_path]))
    with pytest.raises(postgresql.NoPostgreSQL, match="apt-get install -y postgresql"):
        postgresql.Cluster()


def test_root_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    as_user: dict[str, Any] = postgresql._server_user()
    assert as_user["user"] != 0
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert postgresql._server_user() == {}
