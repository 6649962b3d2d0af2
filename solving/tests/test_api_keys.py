"""Solving with an API key: like with a token, and never past the key's limit of the day."""

import pytest
from django.test import Client

from accounts import api_keys, credits
from accounts.models import ApiKey, User
from solving.models import Solve
from solving.tests.conftest import Caller, assert_problem, charges
from solving.tests.pictures import picture
from solving.tests.test_concurrency import at_once


class KeyCaller(Caller):
    """Someone who calls with an API key."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.client = Client(headers={"authorization": f"Api-Key {text}"})


def key_of(user: User, daily_limit: int | None = None) -> tuple[ApiKey, KeyCaller]:
    key, text = api_keys.create(user=user, name="test", daily_limit=daily_limit)
    return key, KeyCaller(text)


def test_a_key_solves_at_both_addresses(user: User) -> None:
    _, caller = key_of(user)
    assert caller.solve(picture()).json()["answer"] == "2KXQE"
    assert caller.upload(picture()).json() == "2KXQE"
    assert caller.solve(picture(), key="once").content == caller.solve(picture(), key="once").content
    assert (charges(user), credits.balance(user)) == (3, 7)


def test_the_daily_limit_ends_solving_and_charges_nothing_more(user: User) -> None:
    key, caller = key_of(user, daily_limit=2)
    assert [caller.solve(picture()).status_code for _ in range(2)] == [200, 200]
    body = assert_problem(caller.solve(picture()), 402, "daily_limit_reached")
    assert "2 credits a day" in body["detail"]
    assert caller.solve(picture(), key="once").status_code == 402
    key.refresh_from_db()
    assert (key.spent, charges(user), Solve.objects.count()) == (2, 2, 2)


def test_what_is_refused_does_not_count_against_the_limit(user: User) -> None:
    key, caller = key_of(user, daily_limit=1)
    assert_problem(caller.solve(picture(), max_length=4), 422, "unsolvable")
    key.refresh_from_db()
    assert key.spent == 0
    assert caller.solve(picture()).status_code == 200


def test_an_empty_account_is_not_counted_against_the_limit(user: User) -> None:
    key, caller = key_of(user, daily_limit=20)
    for _ in range(10):
        caller.solve(picture())
    assert_problem(caller.solve(picture()), 402, "insufficient_credits")
    key.refresh_from_db()
    assert key.spent == 10


@pytest.mark.django_db(transaction=True)
def test_callers_at_once_spend_the_limit_and_no_more(user: User) -> None:
    key, _ = key_of(user, daily_limit=4)
    text = "0123456789abcdef" * 2
    ApiKey.objects.update(digest=api_keys.digest_of(text))
    responses = at_once(12, lambda n: KeyCaller(text).solve(picture()))
    assert sorted(response.status_code for response in responses) == [200] * 4 + [402] * 8
    key.refresh_from_db()
    assert (key.spent, charges(user), credits.balance(user)) == (4, 4, 6)
