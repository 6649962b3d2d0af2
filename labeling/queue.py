"""Who looks at which image: claims under a lease, so that no two people get the same one.

A claim is one UPDATE whose condition stands in its subquery and again around it: PostgreSQL evaluates the
outer one anew after it has waited for another claim's rows, and takes only what is still free. SQLite runs
one writer at a time.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from labeling import quality
from labeling.decisions import SURE_ENOUGH
from labeling.errors import NotMember, Paused
from labeling.models import Assignment, Label, Membership, Mode, Report, Sample, Split
from labeling.selectors import median_seconds, tests_begun, types_of
from ml.models import CaptchaType

AT_ONCE = 10
GRID_TILES = 12
LEAST_LEASE = 90.0
"""Seconds; a lease lasts this long, or three times the median time an image takes if that is more."""
GRID_CONFIDENCE = 0.95
TESTS_FIRST = 100
"""Until so many test images were read once they come first, at random: without them nothing is measured.

Those that wait for their second reading always come first."""
MOST_REPORTED = 5
"""Different texts that are told of one image."""
ATTEMPTS = 20
"""How often a claim that others emptied looks for further images: each time one of them got at least one."""


@dataclass(frozen=True)
class Item:
    """One image as the page shows it; nothing in it tells a check from the others."""

    id: str
    key: str
    width: int
    height: int
    prefill: str
    confidences: list[float]
    reported: list[str]
    """What customers read who called the answer wrong; told to those who do not read blind."""

    @classmethod
    def of(cls, assignment: Assignment, sample: Sample, reported: list[str]) -> Item:
        confidences = sample.characters if len(sample.characters) == len(assignment.prefill) else []
        return cls(
            id=str(assignment.pk),
            key=sample.sha256[:16],
            width=sample.width,
            height=sample.height,
            prefill=assignment.prefill,
            confidences=confidences or [GRID_CONFIDENCE] * len(assignment.prefill),
            reported=reported,
        )


def claim(
    *,
    captcha_type: CaptchaType,
    person: Any,
    session: uuid.UUID,
    mode: str,
    count: int = AT_ONCE,
    left: uuid.UUID | None = None,
    chance: random.Random | None = None,
) -> list[Item]:
    """The next images for one open page, leased to it.

    `left` is the page of the same person that was left for this one, and gives back what it holds first.

    Raises:
        NotMember, Paused
    """
    join(captcha_type=captcha_type, person=person)
    if left is not None:
        release(person=person, session=left)
    count = max(1, min(count, GRID_TILES if mode == Mode.GRID else AT_ONCE))
    chance = chance or random.SystemRandom()
    samples = _lease(captcha_type, person, session, mode, count)
    if not samples:
        return []  # checks alone would go on for ever
    checks = quality.draw_checks(
        captcha_type=captcha_type, person=person, mode=mode, count=len(samples), chance=chance
    )
    given = [
        (Assignment(sample=sample, round=sample.round, **_shown(sample, mode)), sample) for sample in samples
    ]
    for check in checks:
        version = check.sample.model_version if check.prefill else ""
        row = Assignment(
            sample=check.sample, purpose=check.purpose, prefill=check.prefill,
            expected=check.sample.text, round=check.sample.round, model_version=version,
        )  # fmt: skip
        given.insert(chance.randint(0, len(given)), (row, check.sample))
    for assignment, _ in given:
        assignment.person, assignment.session, assignment.mode = person, session, mode
    Assignment.objects.bulk_create([assignment for assignment, _ in given])
    told = _reported(samples, mode)
    return [
        Item.of(assignment, sample, told[sample.pk] if assignment.purpose == Assignment.Purpose.LABEL else [])
        for assignment, sample in given
    ]


def join(*, captcha_type: CaptchaType, person: Any) -> Membership:
    """The person's membership; staff and owners get one with their first image.

    Raises:
        NotMember, Paused
    """
    if not types_of(person).filter(pk=captcha_type.pk).exists():
        raise NotMember
    membership, _ = Membership.objects.get_or_create(captcha_type=captcha_type, person=person)
    if membership.paused_at is not None:
        raise Paused
    return membership


def renew(*, captcha_type: CaptchaType, person: Any, session: uuid.UUID) -> None:
    """Every save shows that the page is at work: all that it holds and still has is held on."""
    now = timezone.now()
    Sample.objects.filter(lease_session=session, lease_person=person, lease_until__gt=now).update(
        lease_until=now + lease_time(captcha_type)
    )


def release(*, person: Any, session: uuid.UUID) -> int:
    """Give back all that a page holds; how many images there were."""
    return Sample.objects.filter(lease_session=session, lease_person=person).update(
        lease_person=None, lease_session=None, lease_claim=None, lease_until=None
    )


def lease_time(captcha_type: CaptchaType) -> timedelta:
    key = f"labeling-median-{captcha_type.pk}"
    seconds = cache.get(key)
    if seconds is None:
        seconds = median_seconds(captcha_type)
        cache.set(key, seconds, timeout=60)
    return timedelta(seconds=max(LEAST_LEASE, 3 * seconds))


def candidates(captcha_type: CaptchaType, person: Any, mode: str) -> QuerySet[Sample]:
    """What the person may be given in this mode, whoever holds it now. A skip counts in its own mode only."""
    spoken = Label.objects.filter(
        ~Q(kind=Label.Kind.SKIPPED) | Q(mode=mode),
        sample=OuterRef("pk"),
        person=person,
        round=OuterRef("round"),
        undone_at__isnull=True,
    )
    samples = Sample.objects.filter(captcha_type=captcha_type).exclude(Exists(spoken))
    if mode == Mode.DISAGREEMENT:
        return samples.filter(status=Sample.Status.DISAGREEMENT)
    samples = samples.filter(status=Sample.Status.OPEN)
    if mode == Mode.GRID:
        # What somebody reported as wrong is not to be waved through.
        sure = samples.filter(confidence__gte=GRID_CONFIDENCE, opinions=0, reported=False)
        return sure.exclude(split=Split.TEST)
    return samples


def _lease(captcha_type: CaptchaType, person: Any, session: uuid.UUID, mode: str, count: int) -> list[Sample]:
    ordering = _ordering(captcha_type, mode)
    taken: list[Sample] = []
    for _ in range(ATTEMPTS):
        now, batch = timezone.now(), uuid.uuid4()
        free = candidates(captcha_type, person, mode).filter(_is_free(now))
        wanted = free.order_by(*ordering).values("pk")[: count - len(taken)]
        updated = free.filter(pk__in=wanted).update(
            lease_person=person, lease_session=session, lease_claim=batch,
            lease_until=now + lease_time(captcha_type),
        )  # fmt: skip
        taken += Sample.objects.filter(lease_claim=batch, lease_session=session).order_by(*ordering)
        if len(taken) >= count or (not updated and not free.exists()):
            break
    return taken


def _is_free(now: Any) -> Q:
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def _ordering(captcha_type: CaptchaType, mode: str) -> list[Any]:
    if mode == Mode.GRID:
        return [F("confidence").desc(), "pk"]
    if mode == Mode.DISAGREEMENT:
        return ["priority", "pk"]
    fresh = 1 if tests_begun(captcha_type) < TESTS_FIRST else 2
    turn = Case(
        When(split=Split.TEST, opinions__gte=1, then=Value(0)),
        When(reported=True, then=Value(0)),  # a customer waits for the answer
        When(split=Split.TEST, then=Value(fresh)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return [turn, "priority", "pk"]


def _shown(sample: Sample, mode: str) -> dict[str, str]:
    """The prediction, where the mode shows it: never for a test image, nor to a second person."""
    least = {Mode.VERIFY: SURE_ENOUGH, Mode.GRID: GRID_CONFIDENCE}.get(Mode(mode))
    if least is None or _is_blind(sample) or not sample.prediction or (sample.confidence or 0.0) < least:
        return {}
    return {"prefill": sample.prediction, "model_version": sample.model_version}


def _is_blind(sample: Sample) -> bool:
    """Whether a reading has to be independent of what anybody said before."""
    return sample.split == Split.TEST or sample.opinions > 0


def _reported(samples: list[Sample], mode: str) -> defaultdict[int, list[str]]:
    told: defaultdict[int, list[str]] = defaultdict(list)
    if mode != Mode.VERIFY:
        return told
    open_eyed = [sample.pk for sample in samples if sample.reported and not _is_blind(sample)]
    said = Report.objects.filter(sample__in=open_eyed).exclude(correction="")
    for pk, correction in said.order_by("id").values_list("sample", "correction"):
        if correction not in told[pk] and len(told[pk]) < MOST_REPORTED:
            told[pk].append(correction)
    return told
