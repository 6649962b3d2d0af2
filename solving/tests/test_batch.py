"""POST /api/v1/solves/batch: each image by itself, the money together."""

import base64
import json
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from rest_framework.settings import api_settings

from accounts import api_keys, credits
from accounts.models import LedgerEntry, User
from solving import services
from solving.models import Solve
from solving.tests.conftest import Caller, assert_problem, charges, part
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, picture
from solving.tests.test_api_keys import KeyCaller
from solving.tests.test_concurrency import at_once

BATCH = "/api/v1/solves/batch"


def member(image: bytes, **hints: Any) -> dict[str, Any]:
    return {"image": base64.b64encode(image).decode(), **hints}


def post(caller: Caller, *members: Any, key: str | None = None) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    body = json.dumps({"images": members})
    return caller.client.post(BATCH, body, content_type="application/json", headers=headers)


def outcomes(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [
        one["error"]["code"] if one["error"] else one["solve"]["answer"] for one in response.json()["solves"]
    ]


def test_each_image_has_its_outcome_in_order(caller: Caller, user: User) -> None:
    response = post(
        caller,
        member(picture(TYPE_A)),
        member(b"no picture"),
        member(picture(TYPE_B), math=True),
        member(picture(TYPE_A), max_length=3),
        member(picture(UNKNOWN)),
        member(picture(), captcha_type="general", numeric="none"),
        {"image": "not base64!"},
        {},
        17,
    )
    assert outcomes(response) == [
        "2KXQE", "image_not_an_image", "35", "unsolvable", "GENERAL", "invalid", "image_not_base64",
        "image_missing", "image_missing",
    ]  # fmt: skip
    body = response.json()
    assert (body["charged"], body["balance"]) == (3, 7)
    assert credits.balance(user) == 7
    refused = body["solves"][3]
    assert (refused["outcome"], refused["solve"]["charged"]) == ("refused", 0)
    assert "length 3" in refused["error"]["detail"]
    ids = {one["solve"]["id"] for one in body["solves"] if one["solve"]}
    assert ids == set(Solve.objects.values_list("pk", flat=True))
    entries = LedgerEntry.objects.filter(account=user.credit_account, kind="charge").order_by("id")
    assert [entry.balance_after for entry in entries] == [9, 8, 7]
    assert {entry.reference for entry in entries} == {
        f"solve {solve.pk}" for solve in Solve.objects.filter(charged=1)
    }


def test_a_form_with_the_part_repeated(caller: Caller) -> None:
    def images() -> list[Any]:
        return [part(picture(TYPE_A)), part(picture(TYPE_B))]

    assert outcomes(caller.post(BATCH, {"image": images()})) == ["2KXQE", "35"]
    assert outcomes(caller.post(BATCH, {"image": images(), "captcha_type": "general"})) == ["GENERAL"] * 2


def test_what_is_past_the_credits_is_not_answered(caller: Caller, user: User) -> None:
    credits.grant(user=user, amount=-8, reason="spent", actor="the test")
    response = post(caller, member(picture(), max_length=3), *[member(picture())] * 4)
    assert outcomes(response) == ["unsolvable", "2KXQE", "2KXQE", *["insufficient_credits"] * 2]
    assert (response.json()["balance"], charges(user), Solve.objects.count()) == (0, 2, 3)
    assert_problem(post(caller, member(picture())), 402, "insufficient_credits")


def test_what_is_past_the_limit_of_the_key(user: User) -> None:
    key, text = api_keys.create(user=user, name="thrifty", daily_limit=2)
    response = post(KeyCaller(text), *[member(picture())] * 3)
    assert outcomes(response) == ["2KXQE", "2KXQE", "daily_limit_reached"]
    key.refresh_from_db()
    assert (key.spent, charges(user), credits.balance(user)) == (2, 2, 8)


def test_a_repetition_is_free_and_the_same(caller: Caller, user: User) -> None:
    members = [member(picture()), member(b"nothing")]
    first, again = post(caller, *members, key="one"), post(caller, *members, key="one")
    assert first.content == again.content
    assert charges(user) == 1
    other = post(caller, *reversed(members), key="one")
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{}", "image_missing"),
        ('{"images": []}', "image_missing"),
        ('{"images": {"a": 1}}', "image_missing"),
        ("[]", "body_malformed"),
        (json.dumps({"images": [{}] * 65}), "too_many_images"),
    ],
)
def test_batches_that_are_none(caller: Caller, user: User, body: str, code: str) -> None:
    response = caller.client.post(BATCH, body, content_type="application/json")
    assert_problem(response, 400, code)
    assert_problem(caller.post(BATCH, {"captcha_type": "general"}), 400, "image_missing")
    assert charges(user) == 0


def test_a_batch_that_is_too_long_is_not_read(caller: Caller, settings: Any) -> None:
    settings.MAX_BATCH_BYTES = 1000
    assert_problem(post(caller, member(picture(file_format="BMP"))), 413, "image_too_large")


def test_nothing_of_an_image_that_is_bad_is_charged(caller: Caller, user: User) -> None:
    assert outcomes(post(caller, member(b"nothing"), member(b""))) == ["image_not_an_image", "image_empty"]
    assert charges(user) == 0


def test_each_image_counts_for_the_rate(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "solve", "5/hour")
    response = post(caller, *[member(picture())] * 3)
    assert response["RateLimit"].startswith('"solve";r=2;')
    assert_problem(post(caller, *[member(picture())] * 3), 429, "throttled")


def test_few_statements_however_many_images(caller: Caller, django_assert_max_num_queries: Any) -> None:
    post(caller, member(picture()))  # loads the readers
    with django_assert_max_num_queries(13):
        post(caller, *[member(picture())] * 5)


@pytest.mark.django_db(transaction=True)
def test_batches_at_once_spend_the_balance_and_no_more(user: User) -> None:
    responses = at_once(6, lambda n: post(Caller(user), *[member(picture())] * 3))
    answered = sum(outcomes(response).count("2KXQE") for response in responses if response.status_code == 200)
    assert (answered, charges(user), credits.balance(user)) == (10, 10, 0)
    assert Solve.objects.filter(charged=1).count() == 10


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_commit_charges_nothing(user: User) -> None:
    def crash(receipt: services.BatchReceipt) -> None:
        assert transaction.get_connection().in_atomic_block
        raise SystemExit

    user.credit_account.refresh_from_db()
    items = [services.Item(picture())] * 3
    with pytest.raises(SystemExit):
        services.solve_batch(user=user, items=items, before_commit=crash)
    assert (charges(user), Solve.objects.count(), credits.balance(user)) == (0, 0, 10)


def test_what_is_wrong_with_an_image_is_said_in_a_sentence(caller: Caller) -> None:
    [answer] = post(caller, member(b"II*\0 and so on")).json()["solves"]
    assert answer["error"] == {
        "code": "image_unsupported_format",
        "detail": "The file is a TIFF: send a JPEG, PNG, GIF, BMP or WebP.",
    }


def test_a_list_in_place_of_an_object_is_told_what_to_be(caller: Caller) -> None:
    body = json.dumps([member(picture())])
    response = caller.client.post(BATCH, body, content_type="application/json")
    problem = assert_problem(response, 400, "body_malformed")
    assert "The JSON must be an object with the member images." in problem["detail"]
