"""The images of solves, kept for as long as an answer can be reported wrong, and then deleted.

They lie in folders of ten minutes each, so that what is past its time is deleted by the folder: no row says
where an image is, and one whose solve was never committed goes with the others.
"""

import logging
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.storage.base import Storage
from django.utils import timezone

from solving.models import Solve

logger = logging.getLogger(__name__)

FOLDER = timedelta(minutes=10)


def window() -> timedelta:
    """How long after its solve an answer can be reported; zero keeps no image and takes no report."""
    return timedelta(minutes=settings.REPORT_WINDOW_MINUTES)


def keep(solve: Solve, image: bytes) -> None:
    """Keep the image of a solve that is about to be stored. A full disk stops no solving."""
    if not window():
        return
    try:
        _storage().save(_name(solve), ContentFile(image))
    except OSError:
        logger.exception("the image of a solve was not kept")


def keep_for_staff(solve: Solve, image: bytes) -> None:
    """Keep a reported image until somebody of the staff has looked at it."""
    _storage().save(_name_for_staff(solve), ContentFile(image))


def read_for_staff(solve: Solve) -> bytes | None:
    return _read(_name_for_staff(solve))


def forget_for_staff(solve: Solve) -> None:
    _storage().delete(_name_for_staff(solve))


def read(solve: Solve) -> bytes | None:
    """The bytes as they were sent; None when they are not kept any more."""
    return _read(_name(solve))


def delete_expired() -> int:
    """Delete every image past its time; how many there were."""
    storage, deleted = _storage(), 0
    try:
        folders, _ = storage.listdir("")
    except FileNotFoundError:
        return 0
    for folder in folders:
        try:
            begins = datetime.strptime(folder, "%Y%m%dT%H%M").replace(tzinfo=UTC)
        except ValueError:
            continue
        if begins + FOLDER + window() > timezone.now():
            continue
        for name in storage.listdir(folder)[1]:
            storage.delete(f"{folder}/{name}")
            deleted += 1
        storage.delete(folder)
    return deleted


def _name(solve: Solve) -> str:
    created = solve.created.astimezone(UTC)
    return f"{created:%Y%m%dT%H}{created.minute // 10}0/{solve.pk}"


def _name_for_staff(solve: Solve) -> str:
    return f"reported/{solve.pk}"


def _read(name: str) -> bytes | None:
    try:
        with _storage().open(name) as file:
            return bytes(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _storage() -> Storage:
    return storages["solved"]
