"""GET /api/v1/captcha-types: what can be read, and how well."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.settings import api_settings

from accounts.models import User
from ml import registry
from ml.models import CaptchaType
from solving.tests.conftest import Caller, assert_problem
from solving.tests.pictures import picture

PATH = "/api/v1/captcha-types"


@pytest.mark.usefixtures("readers")
def test_anybody_may_look() -> None:
    response = Caller().get(PATH)
    assert response.status_code == 200
    types = {one["slug"]: one for one in response.json()}
    assert {"captcha_type_a", "captcha_type_b"} <= set(types)
    assert "general" not in types
    type_a = types["captcha_type_a"]
    assert type_a["model_version"] == "captcha_type_a/1"
    assert type_a["example"] == "2KXQE"
    assert set("2KXQE") <= set(type_a["alphabet"])
    assert (type_a["min_length"], type_a["max_length"]) == (5, 5)
    assert types["captcha_type_b"]["arithmetic"] is True


@pytest.mark.usefixtures("readers")
def test_accuracy_comes_with_its_interval() -> None:
    accuracy = Caller().get(PATH).json()[0]["accuracy"]
    assert accuracy["n"] == 200
    assert 0.9 < accuracy["low"] < accuracy["exact_match"] == 0.99 < accuracy["high"] < 1


def test_a_private_type_is_seen_by_its_owner_alone(user: User, outsider: User) -> None:
    CaptchaType.objects.filter(slug="unsure").update(owner=user)
    registry.reset()

    def slugs(caller: Caller) -> set[str]:
        return {one["slug"] for one in caller.get(PATH).json()}

    assert "unsure" in slugs(Caller(user))
    assert "unsure" not in slugs(Caller(outsider))
    assert "unsure" not in slugs(Caller())


def test_a_private_reader_reads_for_its_owner_alone(user: User, outsider: User) -> None:
    CaptchaType.objects.filter(slug="unsure").update(owner=user)
    registry.reset()
    assert Caller(user).solve(picture(), captcha_type="unsure").status_code == 200
    body = assert_problem(Caller(outsider).solve(picture(), captcha_type="unsure"), 422, "unsolvable")
    assert body["reason_code"] == "no_reader"
    assert "unsure" not in body["reason"]


@pytest.mark.usefixtures("readers")
def test_a_token_that_is_none_is_refused_all_the_same() -> None:
    assert_problem(Caller(token="nonsense").get(PATH), 401, "token_not_valid")


@pytest.mark.usefixtures("readers")
def test_callers_without_an_account_are_limited_by_address(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "anon", "1/min")
    assert Caller().get(PATH)["RateLimit-Policy"] == '"anon";q=1;w=60'
    response: Any = Caller().get(PATH)
    assert_problem(response, 429, "throttled")
    assert 0 < int(response["Retry-After"]) <= 60
    assert Client().get(PATH, REMOTE_ADDR="192.0.2.7").status_code == 200
    assert [Caller(user).get(PATH).status_code for _ in range(3)] == [200] * 3
