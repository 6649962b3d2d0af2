"""Files of a type that is gone, images and frozen data sets, and data sets that are no longer needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings
from django.core.files.storage.base import Storage

from labeling.datasets import folder_of
from labeling.models import Dataset, Sample
from ml.models import CaptchaType


def delete_files(*, slug: str, pk: int) -> None:
    """Delete what lies in the storages of a type whose rows are gone. What is gone already is no error."""
    storage: Storage = Sample._meta.get_field("image").storage
    _delete_below(storage, str(pk))
    shutil.rmtree(Path(settings.DATASETS_ROOT) / slug, ignore_errors=True)


def keep_newest_datasets(captcha_type: CaptchaType, number: int) -> None:
    """Delete all data sets of the type but the newest `number`."""
    for dataset in Dataset.objects.filter(captcha_type=captcha_type).order_by("-number")[number:]:
        shutil.rmtree(folder_of(dataset), ignore_errors=True)
        dataset.delete()


def _delete_below(storage: Storage, folder: str) -> None:
    """All files of a folder, and on a disk the empty folders too."""
    try:
        folders, files = storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in files:
        storage.delete(f"{folder}/{name}")
    for name in folders:
        _delete_below(storage, f"{folder}/{name}")
    storage.delete(folder)
