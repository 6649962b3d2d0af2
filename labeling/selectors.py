"""Reads of the labelling tables that are more than a line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from labeling.models import Label, Membership, Mode, Sample, Split
from ml.models import CaptchaType

RECENT = 200
"""Labels over which the median time is taken."""


@dataclass(frozen=True)
class Progress:
    """How far a type is: `left` images wait for a text, `second` of them for a second person."""

    done: int
    total: int
    left: int
    second: int
    disagreements: int
    flagged: int
    unreadable: int
    mine: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def manages(person: Any, captcha_type: CaptchaType) -> bool:
    """Whether the person may import, export, freeze and see everybody's labels: staff, and a type's owner."""
    return bool(person.is_active and (person.is_staff or captcha_type.owner_id == person.pk))


def labels_alone(captcha_type: CaptchaType) -> bool:
    """Whether a private type has nobody but its owner to label it. Staff who look in do not count."""
    if captcha_type.owner_id is None:
        return False
    others = Membership.objects.filter(captcha_type=captcha_type).exclude(person=captcha_type.owner_id)
    return not others.filter(person__is_staff=False).exists()


def types_of(person: Any) -> QuerySet[CaptchaType]:
    """The types that the person may label: all for staff, else their own and those they are a member of."""
    if person.is_staff:
        return CaptchaType.objects.all()
    return CaptchaType.objects.filter(Q(owner=person) | Q(memberships__person=person)).distinct()


def type_for(person: Any, slug: str) -> CaptchaType | None:
    """The type if the person may label it; None for one that does not exist just the same."""
    return types_of(person).filter(slug=slug).first()


def is_paused(person: Any, captcha_type: CaptchaType) -> bool:
    return Membership.objects.filter(
        person=person, captcha_type=captcha_type, paused_at__isnull=False
    ).exists()


def progress(captcha_type: CaptchaType, person: Any) -> Progress:
    """Two queries, whatever the size of the type."""
    status = Sample.Status
    counts = Sample.objects.filter(captcha_type=captcha_type).aggregate(
        total=Count("pk"),
        left=Count("pk", filter=Q(status=status.OPEN)),
        second=Count("pk", filter=Q(status=status.OPEN, opinions__gte=1)),
        disagreements=Count("pk", filter=Q(status=status.DISAGREEMENT)),
        flagged=Count("pk", filter=Q(status=status.FLAGGED)),
        unreadable=Count("pk", filter=Q(status=status.UNREADABLE)),
    )
    mine = (
        Label.objects.filter(sample__captcha_type=captcha_type, person=person, undone_at__isnull=True)
        .exclude(kind=Label.Kind.SKIPPED)
        .count()
    )
    return Progress(done=counts["total"] - counts["left"] - counts["disagreements"], mine=mine, **counts)


def median_seconds(captcha_type: CaptchaType) -> float:
    """The median time of the type's latest labels; 0 while there are none."""
    seconds = (
        Label.objects.filter(sample__captcha_type=captcha_type)
        .exclude(mode=Mode.IMPORT)
        .order_by("-id")
        .values_list("seconds", flat=True)[:RECENT]
    )
    return float(median(seconds)) if seconds else 0.0


def tests_begun(captcha_type: CaptchaType) -> int:
    """Test images that somebody has read."""
    tests = Sample.objects.filter(captcha_type=captcha_type, split=Split.TEST)
    return tests.exclude(status=Sample.Status.OPEN, opinions=0).count()


def holder(sample: Sample) -> str:
    """Who has the image now; empty when nobody has."""
    if sample.lease_person is None or sample.lease_until is None or sample.lease_until <= timezone.now():
        return ""
    return str(sample.lease_person.get_username())


def paused_memberships(captcha_type: CaptchaType) -> QuerySet[Membership]:
    return Membership.objects.filter(captcha_type=captcha_type, paused_at__isnull=False).select_related(
        "person"
    )
