"""POST /upload_captcha: the original service's endpoint, word for word."""

from pathlib import Path
from typing import Any

import pytest

from accounts import credits
from accounts.models import User
from ml.models import ModelVersion
from ml.tests.artifacts import write_reader
from solving.models import Solve
from solving.tests.conftest import Caller, charges, serve
from solving.tests.pictures import TYPE_A, TYPE_B, picture


def test_the_solution_is_a_json_string(caller: Caller, user: User) -> None:
    response = caller.upload(picture(TYPE_A))
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response.content == b'"2KXQE"'
    assert (charges(user), credits.balance(user)) == (1, 9)
    assert Solve.objects.get().text == "2KXQE"


def test_a_sum_answers_with_its_value(caller: Caller) -> None:
    assert caller.upload(picture(TYPE_B)).content == b'"35"'


@pytest.mark.parametrize(
    ("accept", "body"),
    [("text/plain", b"2KXQE"), ("*/*", b'"2KXQE"'), ("application/json, text/plain, */*", b'"2KXQE"')],
)
def test_plain_text_where_it_is_asked_for(caller: Caller, accept: str, body: bytes) -> None:
    assert caller.upload(picture(TYPE_A), accept=accept).content == body


def test_a_refusal_says_oops_and_costs_nothing(
    caller: Caller, user: User, settings: Any, tmp_path: Path
) -> None:
    write_reader(tmp_path, "general", text="")
    ModelVersion.objects.all().delete()
    serve(tmp_path, settings)

    response = caller.upload(picture())

    assert response.status_code == 422
    assert response["Content-Type"] == "application/json"
    detail = response.json()["detail"]
    assert detail == "Oops! The captcha was not solved: not a captcha: no text found. No credits were taken."
    assert (charges(user), Solve.objects.get().outcome) == (0, "refused")
