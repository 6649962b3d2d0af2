"""Hidden checks: images whose text is known, some with a wrong prediction, measure each labeller."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.mail import mail_admins
from django.db.models import Exists, OuterRef
from django.utils import timezone

from labeling.decisions import SURE_ENOUGH
from labeling.models import Assignment, Label, Membership, Mode, Sample
from labeling.rules import LabelRules
from ml.models import CaptchaType

logger = logging.getLogger(__name__)

GOLD_SHARE = 0.04
PLANTED_SHARE = 0.02
LEAST_RIGHT = 0.95
WINDOW = 40
"""The latest checks that count; before there are as many, nobody is paused."""
RECENTLY = 50
"""A person is not checked with the images of their latest so many checks."""

_LOOK_ALIKE = ("O0QDC", "I1LJT", "S5", "B8R3", "Z27", "G6C", "UVW", "MNH", "EF", "PRF", "A4", "+-*", "9GQ")


@dataclass(frozen=True)
class Check:
    """An image with a known text to be put among the others."""

    sample: Sample
    purpose: str
    prefill: str


@dataclass(frozen=True)
class Quality:
    """How a person did on their latest checks."""

    right: int
    n: int

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 1.0

    @property
    def too_low(self) -> bool:
        return self.n >= WINDOW and self.share < LEAST_RIGHT


def draw_checks(
    *, captcha_type: CaptchaType, person: Any, mode: str, count: int, chance: random.Random
) -> list[Check]:
    """The checks among the next `count` images: each is one with the probability of its kind.

    The owner of a private type is not checked: what is known of its images they said themselves.
    """
    if mode == Mode.DISAGREEMENT or captcha_type.owner_id == person.pk:
        return []
    shares = {Assignment.Purpose.GOLD: GOLD_SHARE}
    if mode in (Mode.VERIFY, Mode.GRID):
        shares[Assignment.Purpose.PLANTED] = PLANTED_SHARE
    drawn = chance.choices([None, *shares], weights=[1 - sum(shares.values()), *shares.values()], k=count)
    purposes = [purpose for purpose in drawn if purpose is not None]
    if not purposes:
        return []
    samples = _known_images(captcha_type, person, mode, len(purposes), chance)
    rules = LabelRules.of(captcha_type)
    return [
        _check(sample, purpose, mode, rules, chance)
        for sample, purpose in zip(samples, purposes, strict=False)
    ]


def record_answer(*, assignment: Assignment, kind: str, text: str, rules: LabelRules) -> None:
    """Note whether a check was answered rightly; pause the person when too many were not.

    A skip or a flag says nothing about reading.
    """
    if kind in (Label.Kind.SKIPPED, Label.Kind.FLAGGED):
        return
    right = kind == Label.Kind.TEXT and rules.fold(text) == rules.fold(assignment.expected)
    Assignment.objects.filter(pk=assignment.pk).update(right=right, answered_at=timezone.now())
    if not right:
        _pause_if_too_low(assignment)


def quality_of(person: Any, captcha_type: CaptchaType) -> Quality:
    """Over the latest checks since the person was last let on."""
    membership = Membership.objects.filter(person=person, captcha_type=captcha_type).first()
    answered = Assignment.objects.filter(
        person=person, sample__captcha_type=captcha_type, right__isnull=False
    )
    if membership is not None:
        answered = answered.filter(answered_at__gte=membership.measured_from)
    latest = list(answered.order_by("-answered_at").values_list("right", flat=True)[:WINDOW])
    return Quality(right=sum(map(bool, latest)), n=len(latest))


def let_on(*, membership: Membership) -> None:
    """End a pause; what was measured before no longer counts."""
    Membership.objects.filter(pk=membership.pk).update(paused_at=None, measured_from=timezone.now())


def misread(text: str, rules: LabelRules, chance: random.Random) -> str:
    """`text` with one character taken for another, preferably for one that looks like it."""
    place = chance.randrange(len(text))
    allowed = {rules.fold(c) for c in rules.alphabet or "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"} - {text[place]}
    alike = {c for group in _LOOK_ALIKE if text[place].upper() in group for c in group} & allowed
    others: Sequence[str] = sorted(alike or allowed) or ["?"]
    return text[:place] + chance.choice(others) + text[place + 1 :]


def _known_images(
    captcha_type: CaptchaType, person: Any, mode: str, count: int, chance: random.Random
) -> list[Sample]:
    own = Label.objects.filter(sample=OuterRef("pk"), person=person)
    latest = Assignment.objects.filter(person=person).exclude(purpose=Assignment.Purpose.LABEL)
    known = (
        Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.AGREED, trusted=True)
        .exclude(Exists(own))
        .exclude(pk__in=list(latest.order_by("-created").values_list("sample", flat=True)[:RECENTLY]))
    )
    ids = list(known.order_by("sha256").values_list("pk", flat=True)[:1000])
    return list(Sample.objects.filter(pk__in=chance.sample(ids, min(count, len(ids)))))


def _check(sample: Sample, purpose: str, mode: str, rules: LabelRules, chance: random.Random) -> Check:
    if purpose == Assignment.Purpose.PLANTED:
        return Check(sample, purpose, misread(sample.text, rules, chance))
    if mode == Mode.GRID:
        return Check(sample, purpose, sample.text)
    shown = mode == Mode.VERIFY and (sample.confidence or 0.0) >= SURE_ENOUGH
    return Check(sample, purpose, sample.prediction if shown else "")


def _pause_if_too_low(assignment: Assignment) -> None:
    captcha_type = assignment.sample.captcha_type
    quality = quality_of(assignment.person, captcha_type)
    if not quality.too_low:
        return
    paused = Membership.objects.filter(
        person=assignment.person, captcha_type=captcha_type, paused_at__isnull=True
    ).update(paused_at=timezone.now())
    if paused:
        message = (
            f"{assignment.person} read {quality.right} of the last {quality.n} check images of "
            f"{captcha_type} rightly and was paused. Let them go on in the admin, under memberships."
        )
        logger.warning("%s", message)
        mail_admins("A labeller was paused", message, fail_silently=True)
