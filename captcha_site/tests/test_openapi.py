"""The OpenAPI document: valid, complete, and kept by every answer, whatever is asked."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import get_resolver
from rest_framework.settings import api_settings

from accounts import api_keys, tokens
from accounts.models import User
from captcha_site.tests import fuzzing

CASES_OF_AN_OPERATION = 12


def test_it_is_openapi_3_1() -> None:
    assert fuzzing.document()["openapi"].startswith("3.1")


def test_every_endpoint_is_in_it() -> None:
    described = {path.lstrip("/").partition("{")[0] for path in fuzzing.document()["paths"]}
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
    """Some hundred requests, generated from the document: no status, media type or shape but those in it.

    `bench/fuzz.py` asks ten thousand.
    """
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "token", "10000/min")
    headers = {}
    if signed_in:
        headers["Authorization"] = f"Bearer {tokens.access_token(user=make_user('fuzz', balance=100_000))}"
    assert fuzzing.ask_described(headers=headers, cases=CASES_OF_AN_OPERATION) > 100


def test_whatever_the_dialects_are_asked_they_answer_in_their_words(make_user: Callable[..., User]) -> None:
    _, key = api_keys.create(user=make_user("fuzz", balance=100_000), name="fuzz")
    assert fuzzing.ask_dialects(key=key, cases=60) > 100
