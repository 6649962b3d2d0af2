"""How much a private type may hold: images and bytes, each a setting. Public types have no limit."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Sum

from labeling.errors import NotMember
from labeling.models import Sample
from ml.models import CaptchaType
from ml.recognition.datasets import hash_bytes


class QuotaReached(ValueError):
    """The image has no place any more; the message says what is full."""


@dataclass
class Room:
    """What a type has place for: images, and bytes in all; None: no limit."""

    captcha_type: CaptchaType
    images: int | None = None
    size: int | None = None

    @classmethod
    def of(cls, captcha_type: CaptchaType) -> Room:
        """Within a transaction, until whose end nobody else adds to a private type nor deletes it.

        Raises:
            NotMember: it was deleted meanwhile.
        """
        if captcha_type.owner_id is None:
            return cls(captcha_type)
        if not CaptchaType.objects.select_for_update().filter(pk=captcha_type.pk).exists():
            raise NotMember
        held = held_by(captcha_type)
        return cls(
            captcha_type,
            images=settings.PRIVATE_TYPE_IMAGES - held.images,
            size=settings.PRIVATE_TYPE_BYTES - held.size,
        )

    def check(self, data: bytes) -> None:
        """Raises QuotaReached for a new image that is too much; one that is there already takes no place."""
        reason = self._full(len(data))
        if (
            reason
            and not Sample.objects.filter(captcha_type=self.captcha_type, sha256=hash_bytes(data)).exists()
        ):
            raise QuotaReached(reason)

    def take(self, size: int) -> None:
        if self.images is not None and self.size is not None:
            self.images -= 1
            self.size -= size

    def _full(self, size: int) -> str:
        if self.images is not None and self.images < 1:
            return f"the type is full: it may hold {settings.PRIVATE_TYPE_IMAGES:,} images"
        if self.size is not None and self.size < size:
            return f"the type is full: its images may have {settings.PRIVATE_TYPE_BYTES:,} bytes in all"
        return ""


@dataclass(frozen=True)
class Held:
    """What a type holds: images, and their bytes in all."""

    images: int
    size: int


def held_by(captcha_type: CaptchaType) -> Held:
    counts = Sample.objects.filter(captcha_type=captcha_type).aggregate(n=Count("pk"), size=Sum("size"))
    return Held(images=counts["n"], size=counts["size"] or 0)
