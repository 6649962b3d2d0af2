"""The settings: what stops a start, what a production start looks like, and that each one is documented."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from captcha_site import environment

ROOT = Path(__file__).resolve().parents[2]
KEY = "kV3-x0a9Zq_7Lw2mP8rT5yB1nC6dF4gH0jK9sA2eU7iO3_qWxE"
PRODUCTION = {"SECRET_KEY": KEY, "ALLOWED_HOSTS": "captcha.example.org"}


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with these environment variables alone."""
    environ = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "DATABASE_URL": "sqlite:///:memory:"}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ | variables, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "a" * 60}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": "django-insecure-" + KEY}, "SECRET_KEY must be set"),
        ({"SECRET_KEY": KEY}, "ALLOWED_HOSTS must name"),
        ({"SECRET_KEY": KEY, "ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name"),
        (PRODUCTION | {"DEBUG": "perhaps"}, "DEBUG='perhaps' is neither on"),
        (PRODUCTION | {"SOLVE_PRICE": "free"}, "SOLVE_PRICE='free' is not a whole number"),
        (PRODUCTION | {"SIGNUP_CREDITS": "-1"}, "SIGNUP_CREDITS=-1 is below"),
        (PRODUCTION | {"DATABASE_URL": "mysql://localhost/captcha"}, "DATABASE_URL begins with 'mysql'"),
        (PRODUCTION | {"CACHE_URL": "memcached://localhost"}, "CACHE_URL begins with 'memcached'"),
        (PRODUCTION | {"TRUSTED_PROXIES": "proxy.local"}, "TRUSTED_PROXIES holds 'proxy.local'"),
        (PRODUCTION | {"THROTTLE_SOLVE": "often"}, "THROTTLE_SOLVE='often' is not a rate"),
        (PRODUCTION | {"LOG_LEVEL": "LOUD"}, "LOG_LEVEL='LOUD' is none of"),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_line_that_names_it(
    variables: dict[str, str], named: str
) -> None:
    started = manage("check", **variables)
    assert started.returncode != 0
    assert named in started.stderr.splitlines()[0]
    assert "Traceback" not in started.stderr


def test_production_settings_pass_the_deployment_checks() -> None:
    checked = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    told = checked.stdout + checked.stderr
    assert "System check identified" in told, told
    # In a checkout the static files are collected by nobody.
    assert set(re.findall(r"\((\w+\.[A-Z]\d+)\)", told)) <= {"captcha_site.E001"}, told


def test_sqlite_keeps_what_it_has_committed(tmp_path: Path) -> None:
    """The ledger's promise: write-ahead log, synced at each commit, and writers that queue."""
    show = (
        "from django.db import connection as c; k = c.cursor();"
        "ask = lambda name: k.execute('PRAGMA ' + name).fetchone()[0];"
        "print(ask('journal_mode'), ask('synchronous'), ask('busy_timeout'), c.transaction_mode)"
    )
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}
    shown = manage("shell", "--no-imports", "-c", show, **PRODUCTION | database)
    assert shown.stdout.strip() == "wal 2 20000 IMMEDIATE", shown.stderr


def test_every_setting_is_in_the_example_file() -> None:
    source = (ROOT / "captcha_site" / "settings.py").read_text() + (ROOT / "gunicorn.conf.py").read_text()
    read = set(re.findall(r"(?:env\.\w+|environ\.get)\(\s*\"(\w+)\"", source))
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert "SECRET_KEY" in read
    assert read <= documented


def test_a_development_key_is_made_once_and_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "var" / "key"
    key = environment.development_secret_key(file)
    assert len(key) >= 50
    assert environment.development_secret_key(file) == key
    assert file.stat().st_mode & 0o777 == 0o600


def test_words_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTS", " a.example , b.example,")
    assert environment.words("HOSTS") == ["a.example", "b.example"]
    assert environment.words("UNSET_HOSTS", ["c.example"]) == ["c.example"]


def test_an_empty_number_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBER", "")
    assert environment.integer("NUMBER", 7) == 7
    monkeypatch.setenv("NUMBER", "0x1F")
    with pytest.raises(ImproperlyConfigured, match="NUMBER"):
        environment.integer("NUMBER", 7)
