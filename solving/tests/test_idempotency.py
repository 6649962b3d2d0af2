"""Idempotency-Key: however often a request is repeated, it is charged once and answered alike."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts import credits, services
from accounts.models import User
from ml.recognition.pipeline import Recognizer
from solving import idempotency
from solving.models import IdempotencyKey, Solve
from solving.tests.conftest import Caller, assert_problem, charges
from solving.tests.pictures import TYPE_A, TYPE_B, picture


def test_a_repetition_gets_the_same_bytes_and_costs_nothing(caller: Caller, user: User) -> None:
    first = caller.solve(picture(), key="one")
    again = caller.solve(picture(), key="one")
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first["Content-Type"] == again["Content-Type"]
    assert (charges(user), Solve.objects.count()) == (1, 1)


def test_the_original_endpoint_keeps_the_same_promise(caller: Caller, user: User) -> None:
    answers = {caller.upload(picture(), **{"idempotency-key": "one"}).content for _ in range(3)}
    assert answers == {b'"2KXQE"'}
    assert charges(user) == 1


def test_another_key_is_another_solve(caller: Caller, user: User) -> None:
    first, second = (caller.solve(picture(), key=key).json() for key in ("one", "two"))
    assert first["id"] != second["id"]
    assert charges(user) == 2


def test_the_same_key_of_somebody_else_is_theirs(caller: Caller, user: User, outsider: User) -> None:
    mine = caller.solve(picture(), key="one").json()
    theirs = Caller(outsider).solve(picture(), key="one").json()
    assert mine["id"] != theirs["id"]
    assert (charges(user), charges(outsider)) == (1, 1)


@pytest.mark.parametrize(
    ("image", "hints"), [(picture(TYPE_B), {}), (picture(TYPE_A), {"case": "upper"})], ids=["image", "hint"]
)
def test_another_request_under_the_key_is_refused(
    caller: Caller, user: User, image: bytes, hints: dict[str, str]
) -> None:
    first = caller.solve(picture(TYPE_A), key="one")
    assert_problem(caller.solve(image, key="one", **hints), 422, "idempotency_key_reused")
    assert caller.solve(picture(TYPE_A), key="one").content == first.content
    assert charges(user) == 1


def test_the_other_endpoint_is_another_request(caller: Caller) -> None:
    caller.solve(picture(), key="one")
    response = caller.upload(picture(), **{"idempotency-key": "one"})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("Oops! This Idempotency-Key was used for another request.")


def test_a_refusal_is_an_answer_too(caller: Caller, user: User) -> None:
    first = caller.solve(picture(), key="one", max_length=4)
    assert_problem(first, 422, "unsolvable")
    again = caller.solve(picture(), key="one", max_length=4)
    assert first.content == again.content
    assert again["Content-Type"] == "application/problem+json"
    assert Solve.objects.count() == 1


def test_after_an_error_the_key_is_free_again(caller: Caller, user: User) -> None:
    credits.grant(user=user, amount=-10, reason="spent", actor="the test")
    assert_problem(caller.solve(picture(), key="one"), 402, "insufficient_credits")
    credits.grant(user=user, amount=5, reason="paid", actor="the test")
    assert caller.solve(picture(), key="one").status_code == 200


def test_while_the_first_one_runs_a_repetition_is_told_to_wait(
    caller: Caller, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognize = Recognizer.recognize
    repetitions: list[Any] = []

    def recognize_while_repeated(self: Recognizer, *args: Any, **kwargs: Any) -> Any:
        repetitions.append(caller.solve(picture(), key="one"))
        return recognize(self, *args, **kwargs)

    monkeypatch.setattr(Recognizer, "recognize", recognize_while_repeated)
    first = caller.solve(picture(), key="one")

    assert first.status_code == 200
    (repetition,) = repetitions
    assert_problem(repetition, 409, "idempotency_key_in_use")
    assert repetition["Retry-After"] == "1"
    assert charges(user) == 1


@pytest.fixture
def died(user: User) -> idempotency.Claim:
    """A claim whose process died in the middle of `caller.solve(picture(), key="one")`."""
    claim = idempotency.claim(user_id=user.pk, key="one", request_hash=asked())
    assert isinstance(claim, idempotency.Claim)
    pass_time(idempotency.LEASE)
    return claim


def asked() -> str:
    return idempotency.request_hash("/api/v1/solves", "{}", picture())


def pass_time(time: timedelta) -> None:
    """Make every claim older instead of sleeping."""
    for row in IdempotencyKey.objects.all():
        row.claimed_at -= time
        row.created -= time
        row.save()


def test_a_key_whose_holder_died_is_not_stuck(caller: Caller, user: User, died: idempotency.Claim) -> None:
    first = caller.solve(picture(), key="one")
    assert first.status_code == 200
    assert caller.solve(picture(), key="one").content == first.content
    assert charges(user) == 1


def test_before_the_lease_ends_it_might_still_run(caller: Caller, user: User) -> None:
    idempotency.claim(user_id=user.pk, key="one", request_hash=asked())
    pass_time(idempotency.LEASE - timedelta(seconds=2))
    assert_problem(caller.solve(picture(), key="one"), 409, "idempotency_key_in_use")


def test_a_holder_that_was_only_slow_charges_nothing(
    caller: Caller, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognize = Recognizer.recognize
    overtaking: list[Any] = []

    def recognize_slowly(self: Recognizer, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(Recognizer, "recognize", recognize)
        pass_time(idempotency.LEASE)
        overtaking.append(caller.solve(picture(), key="one"))
        return recognize(self, *args, **kwargs)

    monkeypatch.setattr(Recognizer, "recognize", recognize_slowly)
    slow = caller.solve(picture(), key="one")

    assert overtaking[0].status_code == 200
    assert_problem(slow, 409, "idempotency_key_in_use")
    assert caller.solve(picture(), key="one").content == overtaking[0].content
    assert (charges(user), Solve.objects.count(), credits.balance(user)) == (1, 1, 9)


def test_only_one_takes_an_abandoned_key_over(user: User, died: idempotency.Claim) -> None:
    first = idempotency.claim(user_id=user.pk, key="one", request_hash=asked())
    assert isinstance(first, idempotency.Claim)
    with pytest.raises(idempotency.StillRunning):
        idempotency.claim(user_id=user.pk, key="one", request_hash=asked())
    with pytest.raises(idempotency.StillRunning):
        idempotency.complete(died, idempotency.Answer(200, "text/plain", b"late"))
    idempotency.release(died)
    idempotency.complete(first, idempotency.Answer(200, "text/plain", b"2KXQE"))


def test_nothing_is_charged_when_the_answer_cannot_be_stored(
    caller: Caller, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(claim: idempotency.Claim, answer: idempotency.Answer) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "complete", fail)
        response = caller.solve(picture(), key="one")
    assert_problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0
    assert (charges(user), Solve.objects.count(), credits.balance(user)) == (0, 0, 10)
    assert caller.solve(picture(), key="one").status_code == 200


def test_after_a_day_the_key_may_be_used_anew(caller: Caller, user: User) -> None:
    first = caller.solve(picture(TYPE_A), key="one")
    pass_time(idempotency.RETENTION - timedelta(minutes=1))
    assert caller.solve(picture(TYPE_A), key="one").content == first.content
    pass_time(timedelta(minutes=2))
    assert caller.solve(picture(TYPE_B), key="one").json()["answer"] == "35"


def test_old_answers_are_swept(user: User) -> None:
    now = timezone.now()
    for key, age in (("old", timedelta(hours=25)), ("new", timedelta(hours=23))):
        IdempotencyKey.objects.create(
            user=user, key=key, request_hash="", claim=uuid.uuid4(), claimed_at=now, created=now - age
        )
    assert idempotency.delete_expired() == 1
    assert IdempotencyKey.objects.get().key == "new"


def test_a_deleted_users_keys_go_with_the_texts_in_them(caller: Caller, user: User) -> None:
    caller.solve(picture(), key="one")
    services.delete_user(user=user, actor=None)
    assert not IdempotencyKey.objects.exists()


def test_parts_of_a_request_do_not_run_into_each_other() -> None:
    assert idempotency.request_hash("ab", b"c") != idempotency.request_hash("a", b"bc")
