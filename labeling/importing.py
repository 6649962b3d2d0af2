"""Images and labels from folders, zips and tables. What cannot be taken is listed, and nothing of it is kept.

Names out of an archive are never used as paths: an image is stored under its hash.
"""

from __future__ import annotations

import lzma
import stat
import time
import unicodedata
import uuid
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from labeling import tables
from labeling.models import Label, Mode, Sample, Split
from labeling.quotas import QuotaReached, Room
from labeling.rules import LabelRules, RuleBroken
from labeling.services import settle
from labeling.splits import join_twins, split_of
from ml.models import CaptchaType
from ml.recognition.datasets import DatasetError, hash_bytes, label_of_name
from ml.recognition.images import MAX_BYTES, ImageError, open_image

MAX_FILES = 50_000
"""Files taken from one archive or folder."""
MAX_UNPACKED = 1024**3
"""Bytes unpacked from one archive; a zip bomb ends here."""
MAX_TABLE_BYTES = 64 * 1024**2
COMMIT_EACH = 50
"""Images stored in one transaction: the database is closed to others for about a tenth of a second."""
LISTED = 1000
"""Skipped files that a report names; the others are counted."""

# What reading a file, or one out of a zip, may raise: damaged, cut off, encrypted (RuntimeError, of which
# NotImplementedError for an unknown compression is one), or gone. Storing is never inside such a `try`.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError)
_IGNORED = ("__MACOSX", ".DS_Store", "Thumbs.db")
_SUFFIXES = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"))
_IMPORTS = uuid.UUID("5d1f37a2-6b0d-4c8e-9a53-0c9a4f6f2b11")


@dataclass
class Report:
    """What an import did. `skipped` names files with the reason, the first LISTED of `skipped_count`.

    `left`: images that the time did not reach; the next call is to start at `next_start`.
    """

    added: int = 0
    duplicates: int = 0
    labelled: int = 0
    left: int = 0
    next_start: int = 0
    skipped_count: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.added += other.added
        self.duplicates += other.duplicates
        self.labelled += other.labelled
        self.left, self.next_start = other.left, other.next_start
        self.skipped_count += other.skipped_count
        self.skipped += other.skipped[: LISTED - len(self.skipped)]

    def skip(self, name: str, reason: str) -> None:
        self.skipped_count += 1
        if len(self.skipped) < LISTED:
            self.skipped.append((name[:200], reason))


@dataclass(frozen=True)
class Incoming:
    """One file on its way in; `read` gives at most `limit` + 1 bytes."""

    name: str
    read: Callable[[int], bytes]


@dataclass(frozen=True)
class Options:
    """How to take images in.

    Args:
        labelled: file names are labels.
        trusted: the labels are known to be right, those of test images too.
        start: images of an archive that an earlier call dealt with.
        seconds: after which no further images are begun; None for no end.
    """

    source: str = ""
    labelled: bool = False
    trusted: bool = False
    start: int = 0
    seconds: float | None = None


def import_zip(
    *,
    captcha_type: CaptchaType,
    archive: IO[bytes],
    options: Options,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """The images and tables of a zip."""
    report = Report()
    try:
        unpacked = zipfile.ZipFile(archive)
    except (*_UNREADABLE, ValueError) as error:
        report.skip(options.source or "the zip", f"is no zip that can be read ({error})")
        return report
    with unpacked:
        told = report if options.start == 0 else Report()  # said once
        _import(captcha_type, list(_files_of_zip(unpacked, told)), options, report, progress)
    return report


def import_folder(
    *,
    captcha_type: CaptchaType,
    folder: Path,
    options: Options,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """The images and tables below a folder; links are not followed."""
    report = Report()
    _import(captcha_type, list(_files_of_folder(folder, report)), options, report, progress)
    return report


def import_files(
    *, captcha_type: CaptchaType, files: Iterable[tuple[str, bytes]], options: Options
) -> Report:
    """Files that a browser sent, each with its name."""
    report = Report()
    incoming = [Incoming(name, lambda limit, data=data: data[: limit + 1]) for name, data in files]  # type: ignore[misc]
    _import(captcha_type, incoming, options, report, lambda done, total: None)
    return report


def add_image(
    *, captcha_type: CaptchaType, data: bytes, name: str, source: str, split_key: str = "", split: str = ""
) -> tuple[Sample, bool]:
    """The sample of these bytes, and whether it is new. A duplicate is counted and not queued again.

    Raises:
        ImageError
    """
    sha256 = hash_bytes(data)
    known = Sample.objects.filter(captcha_type=captcha_type, sha256=sha256)
    if known.update(duplicates=F("duplicates") + 1):
        return known.get(), False
    picture = open_image(data)
    sample = Sample(
        captcha_type=captcha_type,
        sha256=sha256,
        name=name[:200],
        source=source[:200],
        size=len(data),
        width=picture.width,
        height=picture.height,
        split=split or split_of(split_key or sha256),
        priority=int(sha256[:8], 16) / 2**32,  # at random, until a reader has an opinion
    )
    sample.image.save(
        f"{captcha_type.pk}/{sha256[:2]}/{sha256}{_suffix(data)}", ContentFile(data), save=False
    )
    try:
        with transaction.atomic():
            sample.save(force_insert=True)
    except IntegrityError:
        sample.image.storage.delete(str(sample.image.name))  # another import was faster with the same bytes
        known.update(duplicates=F("duplicates") + 1)
        return known.get(), False
    return sample, True


def add_label(*, sample: Sample, kind: str, text: str, trusted: bool) -> bool:
    """Keep a label that came from outside; whether it was new. It counts as one person's, or as the truth.

    A sample that people have decided already keeps their decision.

    Raises:
        RuleBroken
    """
    cleaned = LabelRules.of(sample.captcha_type).clean(text) if kind == Label.Kind.TEXT else ""
    with transaction.atomic():
        sample = (
            Sample.objects.select_for_update(of=("self",)).select_related("captcha_type").get(pk=sample.pk)
        )
        if sample.status != Sample.Status.OPEN:
            return False
        _, new = Label.objects.get_or_create(
            save_id=uuid.uuid5(_IMPORTS, f"{sample.pk} {sample.round} {kind} {cleaned}"),
            defaults={
                "sample": sample,
                "round": sample.round,
                "kind": kind,
                "text": cleaned,
                "mode": Mode.IMPORT,
            },
        )
        if trusted and kind == Label.Kind.TEXT:
            sample.status, sample.text, sample.trusted = Sample.Status.AGREED, cleaned, True
            sample.opinions, sample.decided_at = sample.opinions + new, timezone.now()
            sample.split = join_twins(sample)
            sample.save()
        elif new:
            settle(sample)
    return new


def _import(
    captcha_type: CaptchaType,
    incoming: list[Incoming],
    options: Options,
    report: Report,
    progress: Callable[[int, int], None],
) -> None:
    rows: list[tables.Row] = []
    images: list[Incoming] = []
    for one in incoming:
        if tables.is_table(one.name):
            rows += _read_table(one, report)
        else:
            images.append(one)
    labels = _Labels(rows, images)
    unpacked, done = 0, options.start
    ends = None if options.seconds is None else time.monotonic() + options.seconds
    for chunk in _chunks(images[options.start :]):
        if ends is not None and time.monotonic() > ends:
            report.left, report.next_start = len(images) - done, done
            return
        with transaction.atomic():  # a commit for each image would be most of an import's time
            room = Room.of(captcha_type)
            for one in chunk:
                if unpacked > MAX_UNPACKED:
                    report.skip(one.name, f"the archive unpacks to more than {MAX_UNPACKED:,} bytes")
                else:
                    unpacked += _take(room, one, labels, options, report)
        done += len(chunk)
        progress(done, len(images))
    for row in labels.unused:  # a table may come without the images that it speaks of
        _apply_to_known(captcha_type, row, options, report)


class _Labels:
    """Which row of the tables speaks of which image.

    Paths in tables begin where their tool liked: a row is the image's if one path ends with the other, or if
    no other row and no other image bears the name.
    """

    def __init__(self, rows: Sequence[tables.Row], images: Sequence[Incoming]) -> None:
        self._rows: dict[str, list[tables.Row]] = {}
        for row in rows:
            self._rows.setdefault(row.basename, []).append(row)
        self._images = Counter(PurePosixPath(image.name).name for image in images)
        self._used: set[int] = set()
        self._all = rows

    def of(self, name: str) -> tables.Row | None:
        basename = PurePosixPath(name).name
        candidates = self._rows.get(basename, [])
        paths = [
            (row, "/" + row.filename.replace("\\", "/").removeprefix("./").lstrip("/")) for row in candidates
        ]
        found = [row for row, path in paths if path.endswith(f"/{name}") or f"/{name}".endswith(path)]
        if not found and len(candidates) == 1 and self._images[basename] == 1:
            found = candidates
        if len(found) != 1:
            return None
        self._used.add(id(found[0]))
        return found[0]

    @property
    def unused(self) -> list[tables.Row]:
        return [row for row in self._all if id(row) not in self._used]


def _take(
    room: Room,
    one: Incoming,
    labels: _Labels,
    options: Options,
    report: Report,
) -> int:
    """Take one image, or list why not; how many bytes were unpacked for it."""
    basename = PurePosixPath(one.name).name
    row = labels.of(one.name)
    try:
        data = one.read(MAX_BYTES)
    except _UNREADABLE as error:
        report.skip(one.name, f"cannot be read ({error})")
        return 0
    try:
        row = row or _row_of_name(basename, options)
        _store(room, basename, data, row, options, report)
    except (ImageError, RuleBroken, DatasetError, QuotaReached) as error:
        report.skip(one.name, str(error))
    return len(data)


def _store(
    room: Room,
    basename: str,
    data: bytes,
    row: tables.Row | None,
    options: Options,
    report: Report,
) -> None:
    kind, text = _said(row)
    if kind == Label.Kind.TEXT:
        text = LabelRules.of(room.captcha_type).clean(text)  # before anything is stored
    room.check(data)
    sample, new = add_image(
        captcha_type=room.captcha_type,
        data=data,
        name=basename,
        source=options.source,
        split_key=f"text {text.casefold()}" if text else "",
        split=row.split if row is not None and row.split in Split.values else "",
    )
    if new:
        room.take(len(data))
    report.added += new
    report.duplicates += not new
    if kind and add_label(sample=sample, kind=kind, text=text, trusted=options.trusted):
        report.labelled += 1


def _apply_to_known(captcha_type: CaptchaType, row: tables.Row, options: Options, report: Report) -> None:
    name = row.filename or row.sha256
    samples = Sample.objects.filter(captcha_type=captcha_type)
    found = list(samples.filter(sha256=row.sha256) if row.sha256 else samples.filter(name=row.basename)[:2])
    if len(found) > 1:
        report.skip(name, "several images came under this name; name them by their SHA-256")
        return
    sample = found[0] if found else None
    if sample is None:
        report.skip(name, "the image that the table names is not there")
        return
    kind, text = _said(row)
    try:
        if kind and add_label(sample=sample, kind=kind, text=text, trusted=options.trusted):
            report.labelled += 1
    except RuleBroken as error:
        report.skip(name, str(error))


def _said(row: tables.Row | None) -> tuple[str, str]:
    """Kind and text of a label; no kind where nothing is said."""
    if row is None:
        return "", ""
    if row.status in (Sample.Status.UNREADABLE, Sample.Status.FLAGGED):
        return str(row.status), ""
    return (Label.Kind.TEXT, row.text) if row.text else ("", "")


def _row_of_name(basename: str, options: Options) -> tables.Row | None:
    return tables.Row(basename, label_of_name(basename)) if options.labelled else None


def _read_table(one: Incoming, report: Report) -> list[tables.Row]:
    try:
        data = one.read(MAX_TABLE_BYTES)
        if len(data) > MAX_TABLE_BYTES:
            raise tables.TableError(f"{one.name} is larger than {MAX_TABLE_BYTES:,} bytes")
        return tables.parse(one.name, data)
    except (tables.TableError, *_UNREADABLE) as error:
        report.skip(one.name, str(error))
        return []


def _files_of_zip(archive: zipfile.ZipFile, report: Report) -> Iterator[Incoming]:
    taken = 0
    for info in archive.infolist():
        name = unicodedata.normalize("NFC", info.filename)
        parts = name.replace("\\", "/").split("/")
        if info.is_dir() or any(part in _IGNORED for part in parts) or parts[-1].startswith("._"):
            continue
        if parts[0] == "" or ".." in parts or ":" in parts[0] or "\0" in name:
            report.skip(name, "its path leads out of the archive")
        elif stat.S_ISLNK(info.external_attr >> 16):
            report.skip(name, "a link is not followed")
        elif name.lower().endswith((".zip", ".tar", ".gz", ".7z", ".rar")):
            report.skip(name, "an archive inside an archive is not opened")
        elif taken >= MAX_FILES:
            report.skip(name, f"at most {MAX_FILES:,} files are taken at once")
        else:
            taken += 1
            yield Incoming(name.replace("\\", "/"), _reader_of(archive, info))


def _reader_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        with archive.open(info) as stream:
            return stream.read(limit + 1)

    return read


def _files_of_folder(folder: Path, report: Report) -> Iterator[Incoming]:
    taken = 0
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            report.skip(name, "a link is not followed")
        elif not path.is_file() or path.name.startswith("."):
            continue
        elif taken >= MAX_FILES:
            report.skip(name, f"at most {MAX_FILES:,} files are taken at once")
        else:
            taken += 1
            yield Incoming(name, _reader_of_file(path))


def _chunks(images: Sequence[Incoming]) -> Iterator[list[Incoming]]:
    remaining = iter(images)
    while chunk := list(islice(remaining, COMMIT_EACH)):
        yield chunk


def _reader_of_file(path: Path) -> Callable[[int], bytes]:
    def read(limit: int) -> bytes:
        with path.open("rb") as stream:
            return stream.read(limit + 1)

    return read


def _suffix(data: bytes) -> str:
    return next((suffix for start, suffix in _SUFFIXES if data.startswith(start)), ".webp")
