"""What a person says about an image, and what follows from it.

Every change carries an id made by the page. A repeated one changes nothing and gets the same answer, so a
page may send again whatever was not acknowledged.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from labeling import quality
from labeling.decisions import decide
from labeling.models import Assignment, Label, Mode, Sample
from labeling.queue import lease_time, renew
from labeling.rules import LabelRules, RuleBroken
from labeling.selectors import holder, labels_alone
from labeling.splits import join_twins
from ml.models import CaptchaType

LONGEST = 3600.0
"""Seconds an image may have taken; what lay open over lunch says nothing about more."""


@dataclass(frozen=True)
class Outcome:
    """What became of one save or undo.

    `state` is saved, undone, lease_lost (`detail` says who has the image), refused (`detail` says which rule
    was broken) or unknown (the assignment is none of this person's). `others`: what the first two read, told
    to the third.
    """

    save_id: str
    state: str
    detail: str = ""
    others: list[str] = field(default_factory=list)


def save(
    *,
    person: Any,
    captcha_type: CaptchaType,
    session: uuid.UUID,
    save_id: uuid.UUID,
    assignment_id: uuid.UUID,
    kind: str,
    text: str = "",
    seconds: float = 0.0,
) -> Outcome:
    """Keep what the person says about the image of an assignment, in place of what they said before."""
    assignment = (
        Assignment.objects.filter(pk=assignment_id, person=person, sample__captcha_type=captcha_type)
        .select_related("sample")
        .first()
    )
    if assignment is None:
        return Outcome(str(save_id), "unknown", "The image was not given to you.")
    rules = LabelRules.of(captcha_type)
    try:
        text = rules.clean(text) if kind == Label.Kind.TEXT else ""
    except RuleBroken as broken:
        return Outcome(str(save_id), "refused", f"The text does not fit this type: {broken}.")
    if assignment.purpose != Assignment.Purpose.LABEL:
        quality.record_answer(assignment=assignment, kind=kind, text=text, rules=rules)
        renew(captcha_type=captcha_type, person=person, session=session)
        return Outcome(str(save_id), "saved")
    label = Label(
        save_id=save_id,
        sample=assignment.sample,
        person=person,
        assignment=assignment,
        round=assignment.round,
        kind=kind,
        text=text,
        seconds=max(0.0, min(seconds, LONGEST)),
        mode=assignment.mode,
        model_version=assignment.model_version,
        prefill=assignment.prefill,
        prefill_changed=bool(assignment.prefill) and text != assignment.prefill,
    )
    try:
        with transaction.atomic():
            outcome = _store(label, person)
    except IntegrityError:  # the same save at the same moment: one of the two was stored
        if not Label.objects.filter(save_id=save_id).exists():
            raise
        outcome = _saved(label)
    renew(captcha_type=captcha_type, person=person, session=session)
    return outcome


def undo(
    *,
    person: Any,
    captcha_type: CaptchaType,
    session: uuid.UUID,
    save_id: uuid.UUID,
    assignment_id: uuid.UUID,
) -> Outcome:
    """Take a save back; its image is open again and, if nobody else has it, with this page."""
    Assignment.objects.filter(pk=assignment_id, person=person).update(right=None, answered_at=None)
    label = Label.objects.filter(save_id=save_id, person=person, sample__captcha_type=captcha_type).first()
    if label is not None:
        with transaction.atomic():
            sample = _locked(label.sample_id)
            now = timezone.now()
            if Label.objects.filter(pk=label.pk, undone_at__isnull=True).update(undone_at=now):
                settle(sample)
            if not holder(sample):
                Sample.objects.filter(pk=sample.pk).update(
                    lease_person=person, lease_session=session, lease_until=now + lease_time(captcha_type)
                )
    return Outcome(str(save_id), "undone")


def resolve(*, sample: Sample, person: Any, text: str | None) -> None:
    """Settle an image by the word of someone who manages the type: its text, or None for unreadable.

    Raises:
        RuleBroken
    """
    cleaned = None if text is None else LabelRules.of(sample.captcha_type).clean(text)
    with transaction.atomic():
        sample = _locked(sample.pk)
        sample.round += 1
        Label.objects.create(
            save_id=uuid.uuid4(),
            sample=sample,
            person=person,
            round=sample.round,
            kind=Label.Kind.TEXT if cleaned else Label.Kind.UNREADABLE,
            text=cleaned or "",
            mode=Mode.TYPE,
        )
        sample.status = Sample.Status.AGREED if cleaned else Sample.Status.UNREADABLE
        sample.text, sample.trusted, sample.opinions = cleaned or "", False, 1
        sample.decided_at = timezone.now()
        if cleaned:
            sample.split = join_twins(sample)
        sample.save()


def reopen(*, sample: Sample) -> None:
    """Let everybody read the image again, in a new round; what was said before stays on record."""
    with transaction.atomic():
        sample = _locked(sample.pk)
        if sample.status == Sample.Status.OPEN:
            return
        sample.round += 1
        sample.status, sample.text, sample.trusted = Sample.Status.OPEN, "", False
        sample.opinions, sample.decided_at = 0, None
        sample.lease_person = sample.lease_session = sample.lease_claim = sample.lease_until = None
        sample.save()


def _store(label: Label, person: Any) -> Outcome:
    """The label in force, or why not. Runs in a transaction that holds the sample's row."""
    sample = _locked(label.sample_id)
    if Label.objects.filter(save_id=label.save_id).exists():
        return _saved(label)
    before = Label.objects.filter(
        sample=sample, person=person, round=label.round, undone_at__isnull=True
    ).first()
    held_by = holder(sample) if sample.lease_person_id != person.pk else ""
    if before is None and held_by:
        return Outcome(str(label.save_id), "lease_lost", f"{held_by} has this image now.")
    if before is not None:
        Label.objects.filter(pk=before.pk).update(undone_at=timezone.now())
    label.save(force_insert=True)
    if sample.lease_person_id == person.pk:
        sample.lease_person = sample.lease_session = sample.lease_claim = sample.lease_until = None
    if label.round == sample.round:
        settle(sample)
    else:
        sample.save()
    return _saved(label)


def _saved(label: Label) -> Outcome:
    others: list[str] = []
    if label.mode == Mode.DISAGREEMENT:
        said = Label.objects.filter(sample=label.sample_id, round=label.round, undone_at__isnull=True)
        others = [one.text or one.get_kind_display() for one in said.exclude(person=label.person_id)]
    return Outcome(str(label.save_id), "saved", others=others)


def settle(sample: Sample) -> None:
    """Bring the sample's decision up to its labels. The caller holds its row, in a transaction."""
    labels = list(
        Label.objects.filter(sample=sample, round=sample.round, undone_at__isnull=True)
        .exclude(kind=Label.Kind.SKIPPED)
        .values_list("kind", "text")
    )
    decision = decide(
        labels,
        split=sample.split,
        prediction=sample.prediction,
        confidence=sample.confidence,
        alone=labels_alone(sample.captcha_type),
    )
    sample.opinions = len(labels)
    sample.status, sample.text, sample.trusted = decision.status, decision.text, decision.trusted
    sample.decided_at = None if decision.status == Sample.Status.OPEN else timezone.now()
    if decision.status == Sample.Status.AGREED:
        sample.split = join_twins(sample)
    sample.save()


def _locked(pk: int) -> Sample:
    """The sample, its row held until the transaction ends (SQLite has one writer at a time anyway)."""
    return Sample.objects.select_for_update(of=("self",)).select_related("captcha_type").get(pk=pk)
