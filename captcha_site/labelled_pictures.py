"""Pictures of images that are known by their hash, for those who manage the type that they are of."""

from collections.abc import Iterable
from typing import Any

from django.urls import reverse

from labeling import selectors
from labeling.models import Sample
from ml.models import CaptchaType

AT_ONCE = 500
"""Hashes of one query; databases limit how many it may name."""


def picture_addresses(person: Any, hashes: Iterable[str]) -> dict[str, str]:
    """Hash to the address of its picture, of those images that are there to label."""
    if not person.is_authenticated:
        return {}
    asked = list(dict.fromkeys(hashes))
    types = selectors.types_of(person)
    managed = {one.pk: one.slug for one in types if selectors.manages(person, one)}
    found: dict[str, str] = {}
    for start in range(0, len(asked), AT_ONCE):
        samples = Sample.objects.filter(
            captcha_type__in=managed, sha256__in=asked[start : start + AT_ONCE]
        ).values_list("sha256", "captcha_type_id", "pk")
        for sha256, type_id, pk in samples:
            found[sha256] = reverse("labeling:sample-image", args=[managed[type_id], pk])
    return found


def own_samples(person: Any, captcha_type: CaptchaType, *, most: int) -> list[tuple[str, str]]:
    """(address, text) of the newest agreed images of a type, for those who manage it."""
    if not person.is_authenticated or not selectors.manages(person, captcha_type):
        return []
    agreed = Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.AGREED).order_by("-pk")
    return [
        (reverse("labeling:sample-image", args=[captcha_type.slug, pk]), text)
        for pk, text in agreed.values_list("pk", "text")[:most]
    ]
