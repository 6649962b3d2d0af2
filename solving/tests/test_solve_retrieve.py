"""GET /api/v1/solves/{id}: one past solve, such as one whose answer was lost on the way."""

import pytest

from accounts.models import User
from solving.tests.conftest import Caller, assert_problem
from solving.tests.pictures import picture


def test_the_text_that_was_paid_for_is_shown_again(caller: Caller) -> None:
    solved = caller.solve(picture()).json()
    body = caller.get(f"/api/v1/solves/{solved['id']}").json()
    assert body.pop("outcome") == "solved"
    assert solved.pop("balance") == 9
    assert {name: body[name] for name in solved} == solved


def test_a_refusal_is_shown_with_its_reason(caller: Caller) -> None:
    refused = caller.solve(picture(), max_length=4).json()
    body = caller.get(f"/api/v1/solves/{refused['id']}").json()
    assert (body["outcome"], body["charged"], body["reason"]) == ("refused", 0, refused["reason"])


def test_an_outsider_finds_nothing(caller: Caller, outsider: User) -> None:
    solved = caller.solve(picture()).json()
    assert_problem(Caller(outsider).get(f"/api/v1/solves/{solved['id']}"), 404, "not_found")


def test_without_a_token_nothing_is_shown(caller: Caller) -> None:
    solved = caller.solve(picture()).json()
    assert_problem(Caller().get(f"/api/v1/solves/{solved['id']}"), 401, "not_authenticated")


@pytest.mark.parametrize(
    "number", ["1", str(2**53 - 1), str(2**53), "0", "-1", "9" * 40, "abc", "1.0", "%00", ""]
)
def test_an_id_that_is_none_is_not_found(caller: Caller, number: str) -> None:
    assert_problem(caller.get(f"/api/v1/solves/{number}"), 404, "not_found")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_past_solve_cannot_be_changed(caller: Caller, method: str) -> None:
    solved = caller.solve(picture()).json()
    response = getattr(caller.client, method)(f"/api/v1/solves/{solved['id']}")
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD, OPTIONS"
