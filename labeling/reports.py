"""Answers that customers called wrong: people read their images, and whoever asks learns what they read.

Labelling knows nothing of who asks: `reference` is the caller's name for a report, and means nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.errors import LabelingError
from labeling.importing import add_image
from labeling.models import MAX_TEXT, Report, Sample, Split
from labeling.services import reopen
from ml.models import CaptchaType
from ml.recognition.datasets import hash_bytes

SOURCE = "reported as wrong"
AT_ONCE = 500
"""References in one query; databases limit how many it may name."""


class CannotReport(LabelingError):
    """Nobody labels images of that type."""

    code = "unknown_type"

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no type {slug} whose images people label.")


def add_reported(
    *,
    type_slug: str,
    image_bytes: bytes,
    read: str,
    correction: str | None,
    reference: str,
    may_train: bool = False,
) -> Sample:
    """Put the image of an answer that was called wrong into the queue. The same report twice changes nothing.

    A new image is for training: a test set of nothing but errors would say little. One that was settled by a
    single reading stands open again, in a new round, for its first report.

    Args:
        read: what the service answered.
        correction: what the customer read there, if they said.
        reference: the caller's name for this report, at most 100 characters.
        may_train: whether its customer lets models be trained on it. People read it either way.

    Raises:
        CannotReport: no such type.
        ImageError: the bytes are no image.
    """
    captcha_type = CaptchaType.objects.filter(slug=type_slug).first()
    if captcha_type is None:
        raise CannotReport(type_slug)
    known = Sample.objects.filter(
        captcha_type=captcha_type, sha256=hash_bytes(image_bytes), reports__reference=reference
    ).first()
    if known is not None:
        return known
    sample, _ = add_image(
        captcha_type=captcha_type, data=image_bytes, name="", source=SOURCE, split=Split.TRAIN
    )
    told: dict[str, Any] = {"read": read[:MAX_TEXT], "correction": (correction or "").strip()[:MAX_TEXT]}
    with transaction.atomic():
        sample = Sample.objects.select_for_update(of=("self",)).get(pk=sample.pk)
        Report.objects.get_or_create(
            sample=sample, reference=reference, defaults=told | {"may_train": may_train}
        )
        first = Sample.objects.filter(pk=sample.pk, reported=False).update(reported=True)
        doubtful = sample.status == Sample.Status.AGREED and not sample.trusted
        if first and doubtful and sample.text != told["correction"]:
            reopen(sample=sample)
    sample.refresh_from_db()
    return sample


def let_train(references: Iterable[str], *, allowed: bool) -> None:
    """What their customer says of these reports' images from now on; frozen data sets stay as they are."""
    asked = list(references)
    for start in range(0, len(asked), AT_ONCE):
        Report.objects.filter(reference__in=asked[start : start + AT_ONCE]).update(may_train=allowed)


def for_training(samples: QuerySet[Sample]) -> QuerySet[Sample]:
    """Without images that came by reports alone and whose customers have not agreed to it.

    A private type is trained for its owner, who alone reports on it: there it is what they report for.
    """
    agreed = Report.objects.filter(sample=OuterRef("pk"), may_train=True)
    return samples.exclude(Q(captcha_type__owner=None, source=SOURCE) & ~Exists(agreed))


def decided(references: Iterable[str]) -> dict[str, str | None]:
    """What people read in these reports' images: a text, or None for unreadable; the undecided are absent."""
    asked = list(references)
    settled = Report.objects.filter(sample__status__in=[Sample.Status.AGREED, Sample.Status.UNREADABLE])
    texts: dict[str, str | None] = {}
    for start in range(0, len(asked), AT_ONCE):
        found = settled.filter(reference__in=asked[start : start + AT_ONCE]).order_by("id")
        for reference, status, text in found.values_list("reference", "sample__status", "sample__text"):
            texts[reference] = text if status == Sample.Status.AGREED else None
    return texts
