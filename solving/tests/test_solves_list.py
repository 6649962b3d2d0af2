"""GET /api/v1/solves: the own history, newest first, in pages that stay put."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from accounts import services
from accounts.models import User
from solving.models import Solve
from solving.tests.conftest import Caller, assert_problem
from solving.tests.pictures import TYPE_A, TYPE_B, picture

PATH = "/api/v1/solves"
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def store(user: User, minutes: float, **fields: Any) -> Solve:
    """A solve of `user`, so many minutes after noon."""
    fields = {"captcha_type": "captcha_type_a", "outcome": "solved", "charged": 1} | fields
    created = NOON + timedelta(minutes=minutes)
    return Solve.objects.create(
        user=user, account=user.credit_account, elapsed_ms=1, created=created, **fields
    )


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [solve["id"] for solve in response.json()["results"]]


def test_solves_and_refusals_newest_first(caller: Caller) -> None:
    first = caller.solve(picture(TYPE_A)).json()
    caller.solve(picture(TYPE_A), max_length=4)
    last = caller.solve(picture(TYPE_B)).json()

    results = caller.get(PATH).json()["results"]

    assert [one["outcome"] for one in results] == ["solved", "refused", "solved"]
    assert [results[0]["id"], results[2]["id"]] == [last["id"], first["id"]]
    shared = set(first) - {"balance"}
    assert {name: results[2][name] for name in shared} == {name: first[name] for name in shared}
    assert results[1]["reason_code"] == "constraints"
    assert results[1]["charged"] == 0
    assert results[0]["created"].endswith("Z")


def test_an_outsider_sees_nothing_of_it(user: User, outsider: User) -> None:
    store(user, 0)
    assert ids(Caller(outsider).get(PATH)) == []


def test_without_a_token_there_is_no_history(user: User) -> None:
    assert_problem(Caller().get(PATH), 401, "not_authenticated")


def test_pages_cover_everything_once_while_new_solves_come_in(caller: Caller, user: User) -> None:
    # Three at each instant: the cursor has to part those too.
    stored = [store(user, minute // 3).pk for minute in range(20)]
    seen: list[int] = []
    response = caller.get(PATH, page_size=7)
    while True:
        seen += ids(response)
        store(user, 1000 + len(seen))
        following = response.json()["next"]
        if following is None:
            break
        response = caller.get(PATH, **{k: v[0] for k, v in parse_qs(urlsplit(following).query).items()})
    assert sorted(seen) == sorted(stored)
    assert len(seen) == 20


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"captcha_type": "captcha_type_b"}, [1]),
        ({"outcome": "refused"}, [2]),
        ({"outcome": "solved", "captcha_type": "captcha_type_a"}, [0]),
        ({"created_from": "2026-05-04T12:01:00Z"}, [2, 1]),
        ({"created_before": "2026-05-04T12:01:00Z"}, [0]),
        ({"created_from": "2026-05-04T13:01:00+01:00", "created_before": "2026-05-04T12:02:00Z"}, [1]),
        ({"created_from": "2026-05-05T08:45:00+20:44"}, [2, 1]),  # PostgreSQL takes no such zone
        ({"captcha_type": "none_such"}, []),
    ],
)
def test_filters(caller: Caller, user: User, query: dict[str, str], expected: list[int]) -> None:
    stored = [
        store(user, 0),
        store(user, 1, captcha_type="captcha_type_b"),
        store(user, 2, captcha_type="", outcome="refused", charged=0),
    ]
    assert ids(caller.get(PATH, **query)) == [stored[number].pk for number in expected]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "lost"),
        ("created_from", "yesterday"),
        ("created_from", "0001-01-01T00:00:00+14:00"),
        ("created_before", "9999-12-31T23:59:59-14:00"),
        ("captcha_type", "x" * 64),
        ("captcha_type", "a\x00b"),
    ],
)
def test_a_filter_without_such_a_value_is_refused(caller: Caller, field: str, value: str) -> None:
    body = assert_problem(caller.get(PATH, **{field: value}), 400, "invalid")
    assert [error["field"] for error in body["errors"]] == [field]


@pytest.mark.parametrize(
    "cursor",
    ["x", "cD1ub3doZXJl", "cD0yMDI2LTA1LTA0", "cD05OTk5LTk5LTk5IDk5Ojk5Ojk5KzAwOjAw", "bz0tMSZwPTE=", "ü"],
)
def test_a_made_up_cursor_is_not_found(caller: Caller, user: User, cursor: str) -> None:
    store(user, 0)
    assert_problem(caller.get(PATH, cursor=cursor), 404, "not_found")


def test_a_deleted_users_history_is_anonymised(user: User) -> None:
    solve = store(user, 0, text="2KXQE")
    account = user.credit_account
    services.delete_user(user=user, actor=None)
    solve.refresh_from_db()
    assert (solve.user, solve.account, solve.text) == (None, account, "2KXQE")
    account.refresh_from_db()
    assert account.user is None


def test_looking_does_not_count_as_solving(caller: Caller) -> None:
    assert caller.get(PATH)["RateLimit-Policy"].startswith('"user"')


@pytest.mark.parametrize("path", [PATH, "/upload_captcha", "/api/v1/captcha-types"])
def test_asking_what_is_possible_charges_nothing(caller: Caller, user: User, path: str) -> None:
    response = caller.client.options(path)
    assert response.status_code in (200, 405)
    assert response["Content-Type"] in ("application/json", "application/problem+json")


def test_the_number_of_queries_is_constant(
    caller: Caller, user: User, django_assert_num_queries: Any
) -> None:
    for minute in range(60):
        store(user, minute)
    for page_size in (1, 50):
        with django_assert_num_queries(2):  # the user, the page
            caller.get(PATH, page_size=page_size)


def test_a_parameter_that_is_no_filter_is_named(caller: Caller) -> None:
    body = assert_problem(caller.get(PATH, colour="red"), 400, "invalid")
    assert body["errors"][0]["field"] == "colour"
    assert "captcha_type" in body["detail"]
    assert caller.get(PATH, captcha_type="captcha_type_a", page_size=3).status_code == 200
