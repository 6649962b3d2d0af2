"""The log: an object a line, one id a request, and nothing secret in it."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from django.test import Client

from accounts import api_keys, tokens
from accounts.models import User
from captcha_site import logs
from solving.tests.conftest import part
from solving.tests.pictures import picture


@pytest.fixture
def written(settings: Any) -> Iterator[io.StringIO]:
    """What the root's handler writes, with a line for each request."""
    settings.LOG_REQUESTS = True
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    handler.addFilter(logs.RoutesForPaths())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_id_and_its_user(user: User, written: io.StringIO) -> None:
    client = Client(headers={"authorization": f"Bearer {tokens.access_token(user=user)}"})
    answer = client.post(
        "/api/v1/solves", {"image": part(picture())}, headers={"x-request-id": "from-the-proxy"}
    )
    (line,) = [line for line in lines(written) if line["logger"] == "captcha_site.requests"]
    assert answer["X-Request-ID"] == line["request_id"] == "from-the-proxy"
    assert (line["method"], line["route"], line["status"]) == ("POST", "api/v1/solves", 200)
    assert line["user_id"] == user.pk
    assert line["ms"] > 0


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "two words here", "new\u2028line-in-it", '"quoted"']
)
def test_an_id_that_is_none_is_replaced(given: str, client: Client) -> None:
    answer = client.get("/health_check", headers={"x-request-id": given})
    assert answer["X-Request-ID"] != given
    assert len(answer["X-Request-ID"]) == 16


def test_no_secret_of_a_request_is_in_the_log(user: User, written: io.StringIO) -> None:
    token = tokens.access_token(user=user)
    _, key = api_keys.create(user=user, name="k")
    image = picture()
    client = Client(raise_request_exception=False)
    client.post("/get_token", {"username": "ada", "password": "a password of theirs"})
    client.post("/get_token", {"username": "ada", "password": "a wrong password"})
    for authorization in (f"Bearer {token}", f"Api-Key {key}"):
        client.post("/api/v1/solves", {"image": part(image)}, headers={"authorization": authorization})
    client.get(f"/nowhere/{token}?key={key}")
    client.get(f"/api/v1/solves?key={key}&token={token}")
    text = written.getvalue()
    assert text.count('"message": "request"') == 6
    for secret in (
        token,
        key,
        "a password of theirs",
        "a wrong password",
        image[:16].hex(),
        repr(image)[2:20],
    ):
        assert secret not in text


def test_an_error_of_ours_is_logged_with_its_traceback_and_its_route(
    client: Client, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captcha_site.views.registry.ready", Mock(side_effect=ZeroDivisionError("of ours")))
    monkeypatch.setattr("captcha_site.views.connection.cursor", MagicMock())
    client.raise_request_exception = False
    assert client.get("/readyz?token=secret").status_code == 500
    (error,) = [line for line in lines(written) if line["logger"] == "django.request"]
    assert error["message"] == "Internal Server Error: readyz"
    assert "ZeroDivisionError: of ours" in error["exception"]
    assert len(error["request_id"]) == 16


def test_probes_are_not_logged_while_they_are_answered_well(client: Client, written: io.StringIO) -> None:
    client.get("/health_check")
    assert not lines(written)
    client.post("/health_check")
    assert [line["status"] for line in lines(written) if line["message"] == "request"] == [405]


def test_requests_are_logged_only_where_it_is_asked_for(
    client: Client, written: io.StringIO, settings: Any
) -> None:
    settings.LOG_REQUESTS = False
    client.get("/info")
    assert not [line for line in lines(written) if line["logger"] == "captcha_site.requests"]


def test_an_id_ends_with_its_request(client: Client) -> None:
    client.get("/health_check")
    assert logs.request_id.get() == ""


def test_a_line_for_people_names_the_fields_too() -> None:
    record = logging.makeLogRecord(
        {"msg": "request", "levelname": "INFO", "name": "x", "fields": {"status": 200}}
    )
    token = logs.request_id.set("an-id-of-it")
    try:
        assert logs.Lines().format(record).endswith("INFO x: request status=200 request=an-id-of-it")
    finally:
        logs.request_id.reset(token)
