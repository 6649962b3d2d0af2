"""The pages of the root: welcome, help, health and readiness."""

import shlex
from pathlib import Path
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from captcha_site import static_files
from captcha_site.examples import examples
from ml import registry
from solving.samples import SAMPLES

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_programs_get_the_welcome_as_json(client: Client) -> None:
    welcome = "Welcome to Captcha Solving Service! For help, visit /info Have fun!"
    for accept in ("*/*", "application/json"):
        assert client.get("/", headers={"Accept": accept}).json() == {"message": welcome}
    assert client.get("/").json() == {"message": welcome}


@pytest.mark.django_db
def test_browsers_get_the_landing_page(client: Client, readers: None) -> None:
    answer = client.get("/", headers=BROWSER)
    page = answer.content.decode()
    assert answer["Content-Type"].startswith("text/html")
    assert "curl" in page
    assert all(sample.path in page for sample in SAMPLES)


def test_without_a_model_nothing_is_offered_to_be_read(client: Client, db: None) -> None:
    page = client.get("/", headers=BROWSER).content.decode()
    assert "manage.py install_models" in page
    assert 'name="sample"' not in page


def test_pages_carry_the_strict_headers(client: Client) -> None:
    answer = client.get("/info", headers=BROWSER)
    assert "<title>Commands – Captcha Solving Service</title>" in answer.content.decode()
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "style=" not in answer.content.decode()
    assert "<script" not in answer.content.decode()


@pytest.mark.parametrize("endpoint", ["get_token", "upload_captcha", "add_user", "get_account_info"])
def test_info_prints_a_command_for_each_endpoint(client: Client, endpoint: str) -> None:
    text = client.get("/info", headers={"Accept": "*/*"}).content.decode()
    assert f"http://testserver/{endpoint}'" in text


def test_info_is_text_for_a_terminal_json_on_demand_and_a_page_for_browsers(client: Client) -> None:
    assert client.get("/info").headers["Content-Type"].startswith("text/plain")
    as_json = client.get("/info", headers={"Accept": "application/json"}).json()
    assert any("upload_captcha" in command for command in as_json.values())
    assert client.get("/info", headers=BROWSER).headers["Content-Type"].startswith("text/html")


def test_the_commands_are_valid_shell_and_name_the_demo_users_only_in_a_demo() -> None:
    for demo in (True, False):
        shown = examples(
            base_url="http://localhost", sample_url="http://localhost/a.png", demo=demo, otp=not demo
        )
        commands = " ".join(example.command for example in shown)
        assert "curl" in shlex.split(commands)
        assert ("password=test" in commands) is demo
        assert ("password=admin" in commands) is demo


def test_the_process_says_that_it_is_alive(client: Client) -> None:
    assert client.get("/health_check").json() == {"message": "I am alive and kicking!"}


def test_a_process_that_is_about_to_end_sends_the_proxy_elsewhere(
    client: Client, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DRAIN_FILE = str(tmp_path / "draining")
    assert client.get("/health_check").status_code == 200
    (tmp_path / "draining").touch()
    assert client.get("/health_check").status_code == 503
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.django_db
def test_it_is_not_ready_without_readers(client: Client) -> None:
    registry.reset()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert "install_models" in " ".join(answer.json()["problems"])


@pytest.mark.django_db
def test_it_is_ready_with_readers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ready", lambda: registry.Readiness(True, []))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert "no-cache" in answer["Cache-Control"]


@pytest.mark.django_db
def test_static_files_that_were_not_collected_are_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "ready", lambda: registry.Readiness(True, []))
    assert static_files.check_collected() == []
    settings.STATIC_ROOT = tmp_path
    backend = "whitenoise.storage.CompressedManifestStaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": backend}}
    told = "static files were not collected: manage.py collectstatic"
    assert client.get("/readyz").json() == {"status": "ready", "problems": [told]}
    assert [error.id for error in static_files.check_collected()] == ["captcha_site.E001"]


def test_it_is_not_ready_without_its_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Mock(side_effect=OperationalError("could not connect to server db.internal"))
    monkeypatch.setattr("captcha_site.views.connection.cursor", lost)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the database does not answer"]


def test_an_unknown_address_is_a_page_for_browsers_and_json_for_programs(client: Client) -> None:
    page = client.get("/nowhere", headers=BROWSER)
    assert page.status_code == 404
    assert "There is no such page" in page.content.decode()
    assert client.get("/nowhere", headers={"Accept": "*/*"}).json()["detail"]


def test_only_reading_is_allowed(client: Client) -> None:
    for path in ("/", "/info", "/health_check", "/readyz"):
        assert client.post(path).status_code == 405


def test_static_files_need_no_collecting_on_ones_own_machine(client: Client, settings: Settings) -> None:
    assert settings.WHITENOISE_USE_FINDERS
    icon = client.get("/favicon.ico", follow=True)
    assert icon.redirect_chain == [("/static/site/favicon.svg", 302)]
    assert icon.headers["Content-Type"] == "image/svg+xml"
    assert icon.getvalue().startswith(b"<svg")


@pytest.mark.django_db
def test_the_admin_carries_the_services_name(client: Client) -> None:
    page = client.get("/admin/", follow=True).content.decode()
    assert "Captcha Solving Service" in page
    assert "Django administration" not in page
