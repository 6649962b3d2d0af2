"""POST /api/v1/solves: an image in, its text out, one credit spent."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from accounts import credits
from accounts.models import LedgerEntry, User
from ml.models import ModelVersion
from solving.models import MAX_ID, Solve
from solving.tests.conftest import Caller, assert_problem, charges, part, serve
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, picture


def test_a_captcha_is_read_charged_and_stored(caller: Caller, user: User) -> None:
    response = caller.solve(picture(TYPE_A))

    assert response.status_code == 200, response.content
    body = response.json()
    assert set(body) == {
        "id", "text", "answer", "captcha_type", "confidence", "characters", "model_version", "charged",
        "balance", "elapsed_ms",
    }  # fmt: skip
    assert (body["text"], body["answer"], body["captcha_type"]) == ("2KXQE", "2KXQE", "captcha_type_a")
    assert body["model_version"] == "captcha_type_a/1"
    assert (body["charged"], body["balance"]) == (1, 9)
    assert body["confidence"] > 0.99
    assert [one["char"] for one in body["characters"]] == list("2KXQE")
    assert 0 < body["id"] <= MAX_ID

    solve = Solve.objects.get()
    assert (solve.pk, solve.user, solve.account) == (body["id"], user, user.credit_account)
    assert (solve.text, solve.outcome, solve.charged) == ("2KXQE", "solved", 1)
    entry = LedgerEntry.objects.get(account=user.credit_account, kind="charge")
    assert (entry.amount, entry.balance_after, entry.reference) == (-1, 9, f"solve {solve.pk}")
    assert credits.balance(user) == 9


def test_a_sum_is_computed(caller: Caller) -> None:
    body = caller.solve(picture(TYPE_B)).json()
    assert (body["text"], body["answer"], body["captcha_type"]) == ("33+2=?", "35", "captcha_type_b")


def test_an_unknown_type_goes_to_the_general_reader(caller: Caller) -> None:
    body = caller.solve(picture(UNKNOWN)).json()
    assert (body["text"], body["captcha_type"], body["model_version"]) == ("GENERAL", "general", "general/1")


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_every_format_is_read(caller: Caller, file_format: str) -> None:
    assert caller.solve(picture(TYPE_A, file_format)).json()["text"] == "2KXQE"


def test_the_original_name_of_the_part_is_taken_too(caller: Caller) -> None:
    response = caller.post("/api/v1/solves", {"captcha_image": part(picture())})
    assert response.json()["text"] == "2KXQE"


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_an_image_in_base64(caller: Caller, prefix: str) -> None:
    text = prefix + base64.b64encode(picture(TYPE_A)).decode()
    response = post_json(caller, {"image": text, "captcha_type": "general", "min_length": None})
    assert response.json()["text"] == "GENERAL"


def test_base64_may_be_broken_into_lines(caller: Caller) -> None:
    response = post_json(caller, {"image": base64.encodebytes(picture(TYPE_A)).decode()})
    assert response.json()["text"] == "2KXQE"


def test_a_refusal_costs_nothing_says_why_and_stays_in_the_history(caller: Caller, user: User) -> None:
    body = assert_problem(caller.solve(picture(), max_length=4), 422, "unsolvable")

    assert body["reason_code"] == "constraints"
    assert body["reason"] in body["detail"]
    assert body["detail"].endswith("Nothing was charged.")
    assert body["charged"] == 0
    solve = Solve.objects.get(pk=body["id"])
    assert (solve.outcome, solve.charged, solve.user) == ("refused", 0, user)
    assert (solve.reason_code, solve.reason) == (body["reason_code"], body["reason"])
    assert (charges(user), credits.balance(user)) == (0, 10)


def test_without_credits_nothing_is_read(caller: Caller, user: User) -> None:
    credits.grant(user=user, amount=-10, reason="spent", actor="the test")
    body = assert_problem(caller.solve(picture()), 402, "insufficient_credits")
    assert "Nothing was charged." in body["detail"]
    assert not Solve.objects.exists()


def test_a_price_above_the_balance_is_refused(caller: Caller, settings: Any) -> None:
    settings.SOLVE_PRICE = 11
    assert_problem(caller.solve(picture()), 402, "insufficient_credits")


def test_a_free_service_writes_no_ledger_entry(caller: Caller, user: User, settings: Any) -> None:
    settings.SOLVE_PRICE = 0
    body = caller.solve(picture()).json()
    assert (body["charged"], body["balance"]) == (0, 10)
    assert charges(user) == 0


def test_without_a_reader_the_service_is_out_of_order(
    caller: Caller, user: User, settings: Any, tmp_path: Path
) -> None:
    ModelVersion.objects.all().delete()
    serve(tmp_path, settings)
    response = caller.solve(picture())
    assert_problem(response, 503, "no_reader")
    assert int(response["Retry-After"]) > 0
    assert not Solve.objects.exists()


def test_few_statements(caller: Caller, django_assert_max_num_queries: Any) -> None:
    caller.solve(picture())  # loads the readers
    with django_assert_max_num_queries(9):  # five on PostgreSQL, two of them the test's own savepoint
        caller.solve(picture())


def test_the_rest_of_the_rate_is_told(caller: Caller) -> None:
    response = caller.solve(picture())
    assert response["RateLimit-Policy"] == '"solve";q=6000;w=60'
    assert response["RateLimit"].startswith('"solve";r=5999;t=')


def post_json(caller: Caller, body: Any) -> Any:
    return caller.client.post("/api/v1/solves", json.dumps(body), content_type="application/json")
