"""Many requests at once, on threads and real connections: one charge for a key, never more than there is."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum

from accounts import credits, services
from accounts.models import LedgerEntry, User
from ml.recognition.pipeline import Recognizer
from solving.models import Solve
from solving.tests.conftest import Caller, assert_problem, charges
from solving.tests.pictures import TYPE_A, TYPE_B, picture

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    """What `call(0)` … `call(number - 1)` return, each in a thread of its own, all starting together."""
    results: list[Any] = [None] * number
    start = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            start.wait()
            results[index] = call(index)
        except BaseException as error:
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [result for result in results if isinstance(result, BaseException)]
    if failures:
        raise ExceptionGroup("in a thread", failures)  # type: ignore[type-var]
    return results


def until_answered(call: Callable[[], Any]) -> Any:
    """What a client does that is told that the first request still runs: it repeats."""
    while (response := call()).status_code == 409:
        pass
    return response


@pytest.fixture(autouse=True)
def balances_are_explained(transactional_db: None) -> Iterator[None]:
    """After every test the entries of each account add up to its balance, which is not negative."""
    yield
    for user in User.objects.all():
        total = LedgerEntry.objects.filter(account=user.credit_account).aggregate(total=Sum("amount"))
        assert credits.balance(user) == (total["total"] or 0) >= 0


@pytest.mark.parametrize("key", ["one", "two", "three"])
def test_ten_repetitions_at_once_are_charged_once_and_answered_alike(user: User, key: str) -> None:
    callers = [Caller(user) for _ in range(10)]
    responses = at_once(10, lambda n: until_answered(lambda: callers[n].solve(picture(), key=key)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    assert (charges(user), Solve.objects.count(), credits.balance(user)) == (1, 1, 9)


def test_two_requests_under_one_key_at_once_have_one_winner(user: User) -> None:
    images = [picture(TYPE_A), picture(TYPE_B)]
    responses = at_once(8, lambda n: until_answered(lambda: Caller(user).solve(images[n % 2], key="one")))
    solved = [response for response in responses if response.status_code == 200]
    assert len({response.content for response in solved}) == 1
    assert len(solved) == 4
    for response in responses:
        if response not in solved:
            assert_problem(response, 422, "idempotency_key_reused")
    assert charges(user) == 1


def test_a_small_balance_is_spent_to_the_last_credit_and_no_further(make_user: Callable[..., User]) -> None:
    user = make_user("thrifty", balance=5)
    responses = at_once(16, lambda n: Caller(user).solve(picture()))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200] * 5 + [402] * 11
    assert (charges(user), credits.balance(user)) == (5, 0)
    assert Solve.objects.filter(user=user, charged=1).count() == 5
    balances = sorted(response.json()["balance"] for response in responses if response.status_code == 200)
    assert balances == [0, 1, 2, 3, 4]


def test_a_user_who_is_deleted_while_the_image_is_read(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    recognize = Recognizer.recognize
    caller = Caller(user)

    def recognize_and_delete(self: Recognizer, *args: Any, **kwargs: Any) -> Any:
        services.delete_user(user=user, actor=None)
        return recognize(self, *args, **kwargs)

    monkeypatch.setattr(Recognizer, "recognize", recognize_and_delete)
    body = assert_problem(caller.solve(picture()), 401, "user_not_found")
    assert body["detail"].endswith("Nothing was charged.")
    assert not Solve.objects.exists()
    assert not LedgerEntry.objects.filter(kind="charge").exists()


def test_a_user_who_is_deleted_before_a_refusal_is_stored(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognize = Recognizer.recognize
    caller = Caller(user)

    def recognize_and_delete(self: Recognizer, *args: Any, **kwargs: Any) -> Any:
        services.delete_user(user=user, actor=None)
        return recognize(self, *args, **kwargs)

    monkeypatch.setattr(Recognizer, "recognize", recognize_and_delete)
    assert_problem(caller.solve(picture(), key="one", max_length=4), 401, "user_not_found")
    assert not Solve.objects.exists()
