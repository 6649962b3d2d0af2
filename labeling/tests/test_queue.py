"""Claims and leases: nobody gets what somebody else is looking at."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from labeling import queue
from labeling.errors import NotMember, Paused
from labeling.models import Label, Membership, Sample
from labeling.queue import GRID_CONFIDENCE
from labeling.tests.conftest import Page, sample_of
from ml.models import CaptchaType

OpenPage = Callable[..., Page]
MakeSample = Callable[..., Sample]


def test_ten_images_are_leased_to_one_page(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    for _ in range(15):
        make_sample()
    first, second = page(ada).claim(), page(ben).claim()
    assert (len(first), len(second)) == (10, 5)
    assert {item.key for item in first}.isdisjoint(item.key for item in second)
    assert page(ben).claim() == []


def test_a_second_tab_of_the_same_person_gets_other_images(
    page: OpenPage, ada: Any, make_sample: MakeSample
) -> None:
    for _ in range(12):
        make_sample()
    assert {one.key for one in page(ada).claim()}.isdisjoint(one.key for one in page(ada).claim())


def test_what_a_closed_page_held_goes_to_the_next_one(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    closed = page(ada)
    held = closed.claim()
    assert queue.release(person=ben, session=closed.session) == 0
    assert queue.release(person=ada, session=closed.session) == 1
    assert [item.key for item in page(ben).claim()] == [item.key for item in held]


def test_a_lease_lasts_ninety_seconds_or_three_times_the_median(
    page: OpenPage, ada: Any, make_sample: MakeSample, captcha_type: CaptchaType
) -> None:
    assert queue.lease_time(captcha_type) == timedelta(seconds=90)
    for _ in range(3):
        make_sample()
    session = page(ada)
    for item in session.claim():
        session.save(item, "AB")
    Label.objects.update(seconds=40)
    queue.cache.clear()
    assert queue.lease_time(captcha_type) == timedelta(seconds=120)


def test_an_expired_lease_is_free_and_a_save_renews_what_the_page_holds(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    for _ in range(2):
        make_sample()
    session = page(ada)
    saved, kept = session.claim()
    soon = timezone.now() + timedelta(seconds=5)
    Sample.objects.update(lease_until=soon)
    session.save(saved, "AB")
    until = sample_of(kept).lease_until
    assert until is not None
    assert until > soon
    Sample.objects.filter(lease_person=ada).update(lease_until=timezone.now())
    assert [item.key for item in page(ben).claim()] == [kept.key]


def test_what_a_person_said_or_skipped_does_not_come_back_to_them(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    session = page(ada)
    session.save(session.claim()[0], "", kind="skipped")
    assert session.claim() == []
    assert len(page(ben).claim()) == 1


def test_outsiders_get_nothing_and_staff_need_no_membership(
    page: OpenPage, outsider: Any, boss: Any, make_sample: MakeSample
) -> None:
    make_sample()
    with pytest.raises(NotMember):
        page(outsider).claim()
    assert len(page(boss).claim()) == 1
    assert not Sample.objects.filter(lease_person=outsider).exists()


def test_who_is_paused_gets_nothing(page: OpenPage, ada: Any, make_sample: MakeSample) -> None:
    make_sample()
    Membership.objects.filter(person=ada).update(paused_at=timezone.now())
    with pytest.raises(Paused):
        page(ada).claim()


def test_predictions_are_shown_from_a_confidence_of_two_fifths_and_never_on_test_images(
    page: OpenPage, ada: Any, make_sample: MakeSample
) -> None:
    read = {"prediction": "AB", "characters": [0.9, 0.5], "model_version": "shop/1"}
    sure = make_sample(confidence=0.5, **read)
    make_sample(confidence=0.3, **read)
    make_sample(confidence=0.99, split="test", **read)
    shown = {sample_of(item): item for item in page(ada, "verify").claim()}
    assert [sample for sample, item in shown.items() if item.prefill] == [sure]
    assert shown[sure].confidences == [0.9, 0.5]
    Sample.objects.update(lease_until=None)
    assert not any(item.prefill for item in page(ada, "type").claim())


def test_a_second_reader_sees_no_prediction(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample(confidence=0.9, prediction="AB")
    assert page(ada, "verify").read("AC").status == "open"
    assert [item.prefill for item in page(ben, "verify").claim()] == [""]


def test_the_grid_shows_only_what_is_nearly_certain(
    page: OpenPage, ada: Any, make_sample: MakeSample
) -> None:
    wanted = [make_sample(confidence=GRID_CONFIDENCE + n / 1000, prediction="AB") for n in range(14)]
    make_sample(confidence=0.94, prediction="AB")
    make_sample(confidence=0.99, prediction="AB", split="test")
    tiles = [sample_of(item) for item in page(ada, "grid").claim(12)]
    assert tiles == wanted[:1:-1]


def test_the_least_confident_comes_first_after_the_test_images(
    page: OpenPage, ada: Any, make_sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure, unsure = make_sample(priority=0.9), make_sample(priority=0.2)
    test = make_sample(split="test", priority=0.5)
    assert [sample_of(item) for item in page(ada).claim()] == [test, unsure, sure]
    Sample.objects.update(lease_until=None)
    monkeypatch.setattr(queue, "TESTS_FIRST", 0)
    assert [sample_of(item) for item in page(ada).claim()] == [unsure, test, sure]


def test_a_second_reading_of_a_test_image_comes_first(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "TESTS_FIRST", 0)
    test = make_sample(split="test", priority=0.5)
    page(ada).read("AB")
    unsure = make_sample(priority=0.1)
    assert [sample_of(item) for item in page(ben).claim()] == [test, unsure]


def test_deleting_the_owner_of_a_private_type_deletes_its_samples(
    captcha_type: CaptchaType, outsider: Any, make_sample: MakeSample, page: OpenPage
) -> None:
    CaptchaType.objects.update(owner=outsider)
    make_sample()
    page(outsider).read("AB")
    outsider.delete()
    assert not Sample.objects.exists()
