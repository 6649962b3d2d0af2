"""Saves and undos: what is kept, what is decided, and that repeating changes nothing."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from labeling import services
from labeling.models import Label, Sample
from labeling.rules import RuleBroken
from labeling.tests.conftest import Page, sample_of
from ml.models import CaptchaType

OpenPage = Callable[..., Page]
MakeSample = Callable[..., Sample]


def test_a_label_keeps_how_it_came_about(page: OpenPage, ada: Any, make_sample: MakeSample) -> None:
    make_sample(confidence=0.6, prediction="AB", model_version="shop/3")
    sample = page(ada, "verify").read("ac")
    label = Label.objects.get()
    assert (label.text, label.mode, label.model_version, label.prefill, label.prefill_changed) == (
        "AC",
        "verify",
        "shop/3",
        "AB",
        True,
    )
    assert label.seconds == 1.5
    assert sample.lease_person is None


def test_a_repeated_save_changes_nothing_and_is_answered_alike(
    page: OpenPage, ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    session, save_id = page(ada), uuid.uuid4()
    item = session.claim()[0]
    answers = [session.save(item, "AB", save_id=save_id) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert Label.objects.count() == 1


def test_an_undone_save_is_not_brought_back_by_a_late_repetition(
    page: OpenPage, ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    session = page(ada)
    item = session.claim()[0]
    session.save(item, "AB")
    for _ in range(2):
        assert session.undo(item).state == "undone"
    session.save(item, "AB", save_id=session.last)
    sample = sample_of(item)
    assert (sample.status, sample.text, sample.opinions) == ("open", "", 0)
    assert sample.lease_person == ada
    session.save(item, "AC")
    assert sample_of(item).text == "AC"


def test_the_last_word_of_a_person_counts(page: OpenPage, ada: Any, make_sample: MakeSample) -> None:
    make_sample()
    session = page(ada)
    item = session.claim()[0]
    session.save(item, "AB")
    session.save(item, "AC")
    assert sample_of(item).text == "AC"
    assert Label.objects.filter(undone_at=None).get().text == "AC"
    assert Label.objects.count() == 2


def test_a_lost_lease_is_told_with_the_name_of_who_has_it(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    late, other = page(ada), page(ben)
    item = late.claim()[0]
    Sample.objects.update(lease_until=timezone.now())
    taken = other.claim()[0]
    outcome = late.save(item, "AB")
    assert (outcome.state, outcome.detail) == ("lease_lost", "ben has this image now.")
    assert not Label.objects.exists()
    other.save(taken, "AB")
    assert late.save(item, "AB").state == "saved"  # nobody has it any more: nothing typed is lost
    assert sample_of(item).status == "agreed"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no text"),
        ("A", "at least 2"),
        ("ABCDEFG", "at most 6"),
        ("A-B", "- is not in the alphabet"),
        ("A\u200bB", "U+200B"),
        ("A" * 100, "longer"),
    ],
)
def test_a_text_that_breaks_the_types_rules_is_refused(
    page: OpenPage, ada: Any, make_sample: MakeSample, text: str, reason: str
) -> None:
    make_sample()
    session = page(ada)
    outcome = session.save(session.claim()[0], text)
    assert outcome.state == "refused"
    assert reason in outcome.detail
    assert not Label.objects.exists()


def test_a_training_image_needs_one_person_unless_a_sure_reader_contradicts(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    assert page(ada).read("AB").status == "agreed"
    make_sample(confidence=0.9, prediction="AB")
    assert page(ada).read("AB").status == "agreed"
    make_sample(confidence=0.9, prediction="AB")
    assert page(ada).read("AC").status == "open"
    second = page(ben).read("AC")
    assert (second.status, second.text, second.trusted) == ("agreed", "AC", True)
    make_sample(confidence=0.2, prediction="AB")
    assert page(ada).read("AC").status == "agreed"


def test_a_test_image_needs_two_people_who_agree(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample(split="test", confidence=1.0, prediction="AB")
    first = page(ada).read("AB")
    assert (first.status, first.text) == ("open", "")
    assert page(ada).claim() == []
    second = page(ben).read("AB")
    assert (second.status, second.text, second.trusted) == ("agreed", "AB", True)


def test_a_third_person_settles_a_disagreement_blind_and_then_sees_both(
    page: OpenPage, ada: Any, ben: Any, cleo: Any, make_sample: MakeSample
) -> None:
    make_sample(split="test")
    page(ada).read("AB")
    assert page(ben).read("AC").status == "disagreement"
    assert page(ada, "disagreement").claim() == []
    third = page(cleo, "disagreement")
    item = third.claim()[0]
    assert item.prefill == ""
    assert sorted(third.save(item, "AD").others) == ["AB", "AC"]
    assert sample_of(item).status == "disagreement"
    assert third.save(item, "AC").state == "saved"
    assert (sample_of(item).status, sample_of(item).text) == ("agreed", "AC")


def test_unreadable_and_flagged_are_put_aside(page: OpenPage, ada: Any, make_sample: MakeSample) -> None:
    session = page(ada)
    for kind in ("unreadable", "flagged"):
        make_sample()
        item = session.claim()[0]
        session.save(item, "", kind=kind)
        assert sample_of(item).status == kind


def test_images_with_one_text_lie_in_one_part(
    page: OpenPage, ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    test = make_sample(split="test")
    page(ada).read("AB")
    page(ben).read("AB")
    train = make_sample(split="train")
    page(ada).read("ab")
    other = make_sample(split="validation")
    page(ada).read("AC")
    assert set(Sample.objects.filter(pk__in=[test.pk, train.pk]).values_list("split", flat=True)) == {"train"}
    other.refresh_from_db()
    assert other.split == "validation"


def test_nobody_labels_by_the_assignment_of_another(
    page: OpenPage, ada: Any, ben: Any, outsider: Any, make_sample: MakeSample
) -> None:
    make_sample()
    item = page(ada).claim()[0]
    for stranger in (ben, outsider):
        assert page(stranger).save(item, "AB").state == "unknown"
        page(stranger).undo(item, uuid.uuid4())
    assert not Label.objects.exists()
    assert sample_of(item).lease_person == ada


def test_whoever_manages_the_type_settles_or_reopens(
    page: OpenPage, ada: Any, boss: Any, make_sample: MakeSample, captcha_type: CaptchaType
) -> None:
    make_sample()
    session = page(ada)
    item = session.claim()[0]
    session.save(item, "", kind="flagged")
    with pytest.raises(RuleBroken):
        services.resolve(sample=sample_of(item), person=boss, text="A")
    services.resolve(sample=sample_of(item), person=boss, text="ab")
    assert (sample_of(item).status, sample_of(item).text) == ("agreed", "AB")
    services.reopen(sample=sample_of(item))
    assert (sample_of(item).status, sample_of(item).round) == ("open", 3)
    assert len(session.claim()) == 1  # a new round: ada may read it again
