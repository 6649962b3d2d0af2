"""Hidden checks measure each labeller, and pause who reads too many of them wrongly."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from labeling import quality
from labeling.errors import Paused
from labeling.models import Assignment, Label, Membership, Sample
from labeling.rules import LabelRules
from labeling.tests.conftest import Page, browser_of, sample_of
from ml.models import CaptchaType

MakeSample = Callable[..., Sample]


@pytest.fixture
def known(make_sample: MakeSample) -> list[Sample]:
    return [make_sample(status="agreed", text=f"K{number}", trusted=True) for number in range(60)]


@pytest.fixture
def only_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality, "GOLD_SHARE", 0.0)
    monkeypatch.setattr(quality, "PLANTED_SHARE", 1.0)


def test_a_check_looks_like_any_other_image(
    page_of: Callable[..., Page], ada: Any, make_sample: MakeSample, known: list[Sample], only_planted: None
) -> None:
    make_sample(confidence=0.9, prediction="AB", characters=[0.9, 0.9])
    items = page_of(ada, "verify").claim(1)
    purposes = {str(one.pk): one.purpose for one in Assignment.objects.all()}
    assert sorted(purposes.values()) == ["label", "planted"]
    planted = next(item for item in items if purposes[item.id] == "planted")
    sample = sample_of(planted)
    assert len(planted.prefill) == len(sample.text)
    assert sum(a != b for a, b in zip(planted.prefill, sample.text, strict=True)) == 1


def test_the_answer_to_a_check_changes_no_sample(
    page_of: Callable[..., Page], ada: Any, make_sample: MakeSample, known: list[Sample], only_planted: None
) -> None:
    for _ in range(3):
        make_sample()
    page = page_of(ada, "verify")
    for item in page.claim(3):
        assignment = Assignment.objects.get(pk=item.id)
        if assignment.purpose == "planted":
            assert page.save(item, item.prefill).state == "saved"
    assert list(Assignment.objects.filter(purpose="planted").values_list("right", flat=True)) == [False] * 3
    assert not Label.objects.exists()
    assert Sample.objects.filter(status="agreed").count() == 60
    page.undo(item)
    assert quality.quality_of(ada, page.captcha_type).n in (2, 3)


@pytest.mark.parametrize(("wrong", "paused"), [(2, False), (3, True)])
def test_under_95_of_100_over_40_checks_pauses_and_tells_an_admin(
    page_of: Callable[..., Page],
    ada: Any,
    boss: Any,
    captcha_type: CaptchaType,
    make_sample: MakeSample,
    known: list[Sample],
    settings: Any,
    wrong: int,
    paused: bool,
) -> None:
    settings.ADMINS = [("Admin", "admin@example.org")]
    make_sample()
    for number, sample in enumerate(known[:40]):
        check = Assignment.objects.create(
            sample=sample, person=ada, session="0" * 32, purpose="gold", mode="type", expected=sample.text
        )
        text = sample.text if number < 40 - wrong else "XX"
        quality.record_answer(assignment=check, kind="text", text=text, rules=LabelRules.of(captcha_type))
    assert quality.quality_of(ada, captcha_type) == quality.Quality(40 - wrong, 40)
    membership = Membership.objects.get(person=ada)
    assert (membership.paused_at is not None) is paused
    assert len(mail.outbox) == paused
    if paused:
        with pytest.raises(Paused):
            page_of(ada).claim()
        assert "ada was paused" in browser_of(boss).get("/labeling/").content.decode()
        quality.let_on(membership=membership)
        assert quality.quality_of(ada, captcha_type).n == 0
    assert page_of(ada).claim()


def test_a_person_is_not_checked_with_what_they_read_themselves(
    captcha_type: CaptchaType, page_of: Callable[..., Page], ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample(split="test")
    page_of(ada).read("AB")
    page_of(ben).read("AB")
    chance = random.Random(1)
    for person in (ada, ben):
        checks = [
            quality.draw_checks(
                captcha_type=captcha_type, person=person, mode="verify", count=10, chance=chance
            )
            for _ in range(20)
        ]
        assert not any(checks)


def test_about_one_image_in_twenty_is_a_check(
    captcha_type: CaptchaType, ada: Any, known: list[Sample]
) -> None:
    chance, drawn = random.Random(7), 0
    for _ in range(300):
        drawn += len(
            quality.draw_checks(captcha_type=captcha_type, person=ada, mode="verify", count=10, chance=chance)
        )
    assert 0.04 < drawn / 3000 < 0.08


def test_a_misread_text_differs_in_one_character_of_the_alphabet() -> None:
    chance = random.Random(3)
    rules = LabelRules(alphabet="0OAB8")
    for _ in range(50):
        wrong = quality.misread("0A8", rules, chance)
        assert sum(a != b for a, b in zip(wrong, "0A8", strict=True)) == 1
        assert rules.accepts(wrong)


def test_the_admin_lets_people_go_on(ada: Any, boss: Any, known: list[Sample], admin_client: Client) -> None:
    membership = Membership.objects.get(person=ada)
    Membership.objects.update(paused_at="2026-01-01T00:00Z")
    answer = admin_client.post(
        "/admin/labeling/membership/",
        {"action": "let_go_on", "_selected_action": [membership.pk]},
        follow=True,
    )
    assert answer.status_code == 200
    membership.refresh_from_db()
    assert membership.paused_at is None
