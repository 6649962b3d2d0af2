"""The OpenAPI document: valid, complete, and kept by every answer, whatever is asked."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.urls import get_resolver
from hypothesis import HealthCheck, Phase, given, settings, strategies
from rest_framework.settings import api_settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import tokens
from accounts.models import User
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, bomb, picture

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CASES_OF_AN_OPERATION = 25
FILES = [picture(TYPE_A), picture(TYPE_B, "JPEG"), picture(UNKNOWN, "GIF"), picture()[:-20], bomb(), b""]


def document() -> dict[str, Any]:
    response = Client().get("/api/schema/")
    assert response.status_code == 200
    body: dict[str, Any] = json.loads(response.content)
    return body


def test_it_is_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1")


def test_every_endpoint_is_in_it() -> None:
    described = {path.lstrip("/").partition("{")[0] for path in document()["paths"]}
    undescribed = [
        route
        for pattern in get_resolver().url_patterns
        for route in _routes(pattern)
        if route.startswith("api/v1/") and route.partition("<")[0] not in described
    ]
    assert undescribed == []


def _routes(pattern: Any) -> list[str]:
    if hasattr(pattern, "url_patterns"):
        return [str(pattern.pattern) + route for inner in pattern.url_patterns for route in _routes(inner)]
    return [str(pattern.pattern)]


@pytest.mark.django_db(transaction=True)  # a WSGI application closes the connections it used
@pytest.mark.parametrize("signed_in", [True, False])
def test_whatever_is_asked_the_answer_is_one_of_those_described(
    signed_in: bool, readers: None, make_user: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some hundred requests, generated from the document: no status, media type or shape but those in it."""
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "token", "10000/min")
    schemathesis.openapi.format("binary", strategies.sampled_from(FILES))
    headers = {}
    if signed_in:
        headers["Authorization"] = f"Bearer {tokens.access_token(user=make_user('fuzz', balance=100_000))}"
    described = document()
    described["paths"].pop("/add_user")  # each sign-up costs a quarter of a second of hashing
    schema = schemathesis.openapi.from_dict(described)
    schema.app = get_wsgi_application()
    for operation in schema.get_all_operations():
        assert isinstance(operation, Ok)
        _ask(operation.ok(), headers)


def _ask(operation: Any, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=CASES_OF_AN_OPERATION,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()
