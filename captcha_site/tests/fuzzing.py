"""Requests generated from the OpenAPI document, and odd ones for the dialects, which it does not describe."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from solving.dialects.urls import JSON_METHODS
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, bomb, picture

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FILES = [picture(TYPE_A), picture(TYPE_B, "JPEG"), picture(UNKNOWN, "GIF"), picture()[:-20], bomb(), b""]
# Each sign-up costs a quarter of a second of hashing.
LEFT_OUT = ("/add_user",)

Found = Callable[[BaseException], None]


def document() -> dict[str, Any]:
    response = Client().get("/api/schema/")
    assert response.status_code == 200
    body: dict[str, Any] = json.loads(response.content)
    return body


def ask_described(*, headers: dict[str, str], cases: int, seed: int = 0) -> int:
    """Ask every operation `cases` times; how many requests there were.

    Raises for an answer whose status, media type or shape is none of those described, or a 5xx.
    """
    schemathesis.openapi.format("binary", st.sampled_from(FILES))
    described = document()
    for path in LEFT_OUT:
        described["paths"].pop(path)
    schema = schemathesis.openapi.from_dict(described)
    schema.app = get_wsgi_application()
    asked = 0
    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        asked += _run(
            operation.ok().as_strategy(),
            lambda case: case.call_and_validate(headers=headers, checks=CHECKS),
            cases,
            seed,
        )
    return asked


def ask_dialects(*, key: str, cases: int, seed: int = 0) -> int:
    """Ask the dialects' addresses odd things; how many requests there were.

    Raises for an answer that is none of the dialect's, and for a defect that was answered in its words.
    """
    with _defects_raise():
        asked = _run(_bodies(key), _ask_json, cases, seed)
        asked += _run(_forms(key), _ask_forms, cases, seed)
        asked += _run(_forms(key), _ask_death_by_captcha, cases, seed)
    return asked


def _run(strategy: Any, ask: Callable[[Any], object], cases: int, seed: int) -> int:
    asked = 0

    @given(case=strategy)
    @settings(
        max_examples=cases,
        derandomize=seed == 0,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def each(case: Any) -> None:
        nonlocal asked
        asked += 1
        ask(case)

    each()
    return asked


@contextmanager
def _defects_raise() -> Iterator[None]:
    """A defect of ours is answered as being busy, and logged: the log tells."""

    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1]:
                raise record.exc_info[1]

    logger, handler = logging.getLogger("solving.dialects.errors"), Raises(logging.ERROR)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


_IMAGES = st.sampled_from([base64.b64encode(file).decode() for file in FILES])
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 2**60),
    st.floats(),
    st.text(max_size=30),
    st.lists(st.integers(), max_size=3),
    st.sampled_from(["1", "0", "post", "base64", "get", "get2", "reportbad", "getbalance", "general"]),
    _IMAGES,
)
_OPTIONS = [
    *("phrase", "case", "numeric", "math", "minLength", "maxLength", "comment", "recognizingThreshold"),
    *("score", "module", "images"),
]
_PARAMETERS = [
    *("key", "method", "file", "body", "phrase", "regsense", "numeric", "calc", "min_len", "max_len"),
    *("language", "json", "header_acao", "pingback", "action", "id", "ids"),
    *("username", "password", "authtoken", "captchafile"),
]


def _bodies(key: str) -> Any:
    """(method, body, content type) of the JSON dialect: most of them nearly right."""
    task = st.fixed_dictionaries(
        {"type": st.just("ImageToTextTask"), "body": _IMAGES},
        optional=dict.fromkeys(_OPTIONS, _VALUES),
    )
    body = st.fixed_dictionaries(
        {"clientKey": st.just(key)},
        optional={
            "task": st.one_of(task, _VALUES),
            "taskId": _VALUES,
            "date": _VALUES,
            "callbackUrl": _VALUES,
        },
    )
    encoded = st.one_of(body.map(json.dumps).map(str.encode), st.binary(max_size=200))
    content_type = st.sampled_from(
        ["application/json", "text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data"]
    )
    return st.tuples(st.sampled_from(sorted(JSON_METHODS)), encoded, content_type)


def _forms(key: str) -> Any:
    """Parameters of a form: most of them with a key that opens."""
    values = _VALUES.map(lambda value: "" if value is None else str(value))
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(st.just(key), values) for name in _PARAMETERS}
    ).map(lambda form: form | {"key": form.get("key", key)})


def _ask_json(case: tuple[str, bytes, str]) -> None:
    method, body, content_type = case
    response = Client().post(f"/{method}", body, content_type=content_type)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json"), response.content
    answer = json.loads(response.content)
    assert {"errorId", "errorCode", "errorDescription"} <= set(answer), answer
    assert answer["errorId"] != 11


def _ask_forms(form: dict[str, str]) -> None:
    for response in (Client().post("/in.php", form), Client().get("/res.php", form)):
        assert response.status_code == 200, response.content
        if response["Content-Type"] == "application/json":
            assert set(json.loads(response.content)) >= {"status", "request"}
        else:
            assert response["Content-Type"] == "text/plain; charset=utf-8"


def _ask_death_by_captcha(form: dict[str, str]) -> None:
    responses = (
        Client().post("/api/captcha", form),
        Client().post("/api/user", form),
        Client().get("/api/captcha/4711"),
        Client().post("/api/captcha/4711/report", form),
    )
    for response in responses:
        assert response.status_code in (200, 400, 403, 404, 413, 503), response.content
        assert response["Content-Type"] == "application/json"
        json.loads(response.content)
