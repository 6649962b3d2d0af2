"""Images with their texts, in the formats of this and other tools."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from labeling import tables
from labeling.models import Sample
from labeling.reports import for_training
from ml.models import CaptchaType

_FORBIDDEN = str.maketrans(dict.fromkeys('/\\:*"<>|\0', "_"))


@dataclass(frozen=True)
class Format:
    """One way to write labels: the table, and whether the images go with it."""

    slug: str
    title: str
    table: str
    folder: str = ""
    images: bool = True

    @property
    def filename(self) -> str:
        return self.slug + (".zip" if self.images else PurePosixPath(self.table).suffix)


FORMATS = {
    one.slug: one
    for one in (
        Format("folder", "Folder of TEXT__ID.png, as the training reads it", "labels.csv"),
        Format("csv", "CSV, all images, without the files", "labels.csv", images=False),
        Format("jsonl", "JSONL, all images, without the files", "labels.jsonl", images=False),
        Format("paddleocr", "PaddleOCR, rec_gt.txt", "rec_gt.txt", folder="images/"),
        Format("huggingface", "Hugging Face, metadata.jsonl", "metadata.jsonl"),
        Format("label-studio", "Label Studio, JSON", "label_studio.json", folder="images/"),
    )
}


def export(*, captcha_type: CaptchaType, to: Format, stream: IO[bytes]) -> int:
    """Write the labels to `stream`; how many. With images, only those that have a text and may train."""
    samples = Sample.objects.filter(captcha_type=captcha_type).order_by("pk")
    if not to.images:
        rows = [_row(sample, filename_of(sample)) for sample in samples.iterator()]
        stream.write(tables.write(to.table, rows))
        return len(rows)
    samples = for_training(samples.filter(status=Sample.Status.AGREED))
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # images are compressed already
        rows = list(_with_images(archive, samples.iterator(), to.folder))
        archive.writestr(to.table, tables.write(to.table, rows))
    return len(rows)


def export_into(archive: zipfile.ZipFile, *, captcha_type: CaptchaType, folder: str, table: str) -> None:
    """All images of the type into a folder of an archive, those without a text too, and the table of them.

    An image whose file is gone stands in the table alone.
    """
    rows = []
    for sample in Sample.objects.filter(captcha_type=captcha_type).order_by("pk").iterator():
        rows.append(_row(sample, f"images/{filename_of(sample)}"))
        try:
            with sample.image.open("rb") as file:
                archive.writestr(folder + rows[-1].filename, file.read())
        except OSError:
            continue
    archive.writestr(folder + table, tables.write(table, rows))


def filename_of(sample: Sample) -> str:
    """``TEXT__ID.png``; characters that no file system takes become ``_``, the table has the text itself."""
    suffix = PurePosixPath(str(sample.image.name)).suffix
    text = sample.text.translate(_FORBIDDEN).lstrip(".")
    return f"{text}__{sample.pk}{suffix}"


def _with_images(archive: zipfile.ZipFile, samples: Iterable[Sample], folder: str) -> Iterator[tables.Row]:
    for sample in samples:
        name = folder + filename_of(sample)
        with sample.image.open("rb") as file:
            archive.writestr(name, file.read())
        yield _row(sample, name)


def _row(sample: Sample, name: str) -> tables.Row:
    return tables.Row(name, sample.text, sample.split, sample.status, sample.sha256)
