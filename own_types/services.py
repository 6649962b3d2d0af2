"""What changes a private type: opening, leave to train, deletion. Trainings are in `trainings`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from jobs.services import cancel, unfinished
from labeling import removal
from labeling.training import key_of
from ml.models import CaptchaType
from ml.services import delete_artifacts
from own_types.errors import NameTaken, TooManyTypes
from own_types.models import Approval, DeletedType
from own_types.selectors import types_of

ATTEMPTS = 3
"""Of a deletion that somebody's label or image comes into."""


def prefix_of(user: User) -> str:
    """What the slugs of a user's types begin with: so nobody learns from a refused name what others have."""
    return f"u{user.pk}_"


def open_type(
    *,
    user: User,
    title: str,
    name: str,
    alphabet: str = "",
    min_length: int | None = None,
    max_length: int | None = None,
    case_sensitive: bool = False,
) -> CaptchaType:
    """A new private type of `user`, whose slug is the user's prefix and `name`.

    Raises:
        TooManyTypes, NameTaken
    """
    slug = prefix_of(user) + name
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # of two at once the second counts the first
        if types_of(user).count() >= settings.PRIVATE_TYPES_PER_USER:
            raise TooManyTypes
        if DeletedType.objects.filter(slug=slug).exists():
            raise NameTaken(deleting=True)
        if CaptchaType.objects.filter(slug=slug).exists():
            raise NameTaken(deleting=False)
        return CaptchaType.objects.create(
            slug=slug,
            title=title,
            owner=user,
            alphabet=alphabet,
            min_length=min_length,
            max_length=max_length,
            case_sensitive=case_sensitive,
        )


def ask_for_approval(*, captcha_type: CaptchaType) -> None:
    """Have the type on the staff's list; asking twice changes nothing."""
    Approval.objects.get_or_create(captcha_type=captcha_type)


def approve(*, approval: Approval, by: Any) -> bool:
    """Let the type be trained; false if it was let before."""
    waiting = Approval.objects.filter(pk=approval.pk, approved__isnull=True)
    return waiting.update(approved=timezone.now(), approved_by=by) == 1


def delete_type(*, captcha_type: CaptchaType) -> None:
    """Delete the type with its images, labels, data sets and versions; a training of it is cancelled.

    What was paid for a training that came to nothing so comes back when its process has ended.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                held = CaptchaType.objects.select_for_update().filter(pk=captcha_type.pk).first()
                if held is not None:
                    _delete(held)
            return
        except IntegrityError:  # a label or an image came in between
            if attempt == ATTEMPTS:
                raise


def delete_types_of(user: User) -> None:
    """All private types of a user who is deleted, in the transaction that does it."""
    for captcha_type in types_of(user).select_for_update():
        _delete(captcha_type)


def clear_up(deleted: DeletedType) -> bool:
    """Delete the files of a type that is gone; false while its training still writes some."""
    if unfinished(f"train {deleted.slug}") is not None:
        return False
    removal.delete_files(slug=deleted.slug, pk=deleted.type_id)
    delete_artifacts(deleted.slug)
    deleted.delete()
    return True


def _delete(captcha_type: CaptchaType) -> None:
    run = unfinished(key_of(captcha_type))
    if run is not None:
        cancel(run=run)
    deleted = DeletedType.objects.create(slug=captcha_type.slug, type_id=captcha_type.pk)
    captcha_type.delete()
    transaction.on_commit(lambda: clear_up(deleted), robust=True)
