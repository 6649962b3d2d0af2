"""Frozen data sets: folders that never change again, so that a model's figures can be traced to its images.

SLUG/NUMBER/labels.csv, images/            what ``manage.py train --images`` reads
SLUG/NUMBER/test/labels.csv, test/images/  test images, for ``manage.py evaluate``
SLUG/NUMBER/manifest.json                  content hash, counts, and of each image hash, text and part
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from labeling.models import Dataset, Label, Mode, Sample, Split
from labeling.reports import for_training
from labeling.rules import LabelRules
from labeling.splits import join_twins
from ml.models import CaptchaType
from ml.recognition.datasets import hash_bytes

MANIFEST = "manifest.json"
TEST_FOLDER = "test"
FEWEST_TO_JUDGE = 20
FORMAT = 1


class CannotFreeze(Exception):
    """There is nothing to freeze, or an image is missing or damaged; the message says which."""


@dataclass(frozen=True)
class Entry:
    """One image of a data set."""

    file: str
    sha256: str
    text: str
    split: str


@dataclass(frozen=True)
class Change:
    """What differs between a data set and the agreed images of today."""

    added: int
    removed: int
    retexted: int
    moved: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.retexted or self.moved)


def freeze(*, captcha_type: CaptchaType, by: Any = None) -> tuple[Dataset, bool]:
    """A data set of all agreed images, and whether it is new: the same content is never frozen twice.

    Raises:
        CannotFreeze
    """
    _join_all_twins(captcha_type)
    samples = list(_agreed(captcha_type))
    if not samples:
        raise CannotFreeze(f"{captcha_type} has no image with an agreed text yet")
    entries = [_entry(sample) for sample in samples]
    digest = content_hash(entries)
    known = Dataset.objects.filter(captcha_type=captcha_type, content_hash=digest).first()
    if known is not None:
        return known, False
    facts = facts_of(captcha_type)
    for _ in range(5):  # somebody else may take the number meanwhile
        latest = Dataset.objects.filter(captcha_type=captcha_type).aggregate(Max("number"))["number__max"]
        number = (latest or 0) + 1
        folder = f"{captcha_type.slug}/{number}"
        try:
            with transaction.atomic():
                dataset = Dataset.objects.create(
                    captcha_type=captcha_type,
                    number=number,
                    content_hash=digest,
                    folder=folder,
                    facts=facts,
                    made_by=by,
                )
                _write(folder_of(dataset), samples, entries, dataset)
            return dataset, True
        except IntegrityError:
            known = Dataset.objects.filter(captcha_type=captcha_type, content_hash=digest).first()
            if known is not None:
                return known, False
    raise CannotFreeze("others are freezing data sets of this type at the same time; try again")


def content_hash(entries: Sequence[Entry]) -> str:
    """SHA-256 over images, texts and parts, whatever their order and names."""
    lines = sorted(f"{entry.sha256} {entry.split} {entry.text}\n" for entry in entries)
    return hash_bytes("".join(lines).encode())


def folder_of(dataset: Dataset) -> Path:
    return Path(settings.DATASETS_ROOT) / dataset.folder


def labelled_folders(dataset: Dataset) -> list[Path]:
    """For `manage.py evaluate`: the test images, and the others, of which it leaves out those trained on."""
    folder = folder_of(dataset)
    return [folder, folder / TEST_FOLDER] if _tests_of(folder) else [folder]


def judging_folders(dataset: Dataset) -> list[Path]:
    """Test images for `manage.py train`; none where they are too few to judge: it then holds others out."""
    folder = folder_of(dataset)
    return [folder / TEST_FOLDER] if _tests_of(folder) >= FEWEST_TO_JUDGE else []


def _tests_of(folder: Path) -> int:
    table = folder / TEST_FOLDER / "labels.csv"
    return len(table.read_text(encoding="utf-8").splitlines()) - 1 if table.is_file() else 0


def read_manifest(dataset: Dataset) -> list[Entry]:
    """The entries of a frozen folder. Raises CannotFreeze for one that is missing or damaged."""
    try:
        manifest = json.loads((folder_of(dataset) / MANIFEST).read_text(encoding="utf-8"))
        return [Entry(**image) for image in manifest["images"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotFreeze(f"the folder of data set {dataset} cannot be read: {error}") from error


def problems(dataset: Dataset) -> list[str]:
    """What is no longer as it was frozen; empty for a sound data set. Reads every image."""
    try:
        entries = read_manifest(dataset)
    except CannotFreeze as error:
        return [str(error)]
    found = [] if content_hash(entries) == dataset.content_hash else [f"{MANIFEST} was changed"]
    for entry in entries:
        path = folder_of(dataset) / entry.file
        if not path.is_file():
            found.append(f"{entry.file} is missing")
        elif hash_bytes(path.read_bytes()) != entry.sha256:
            found.append(f"{entry.file} was changed")
    return found


def change_since(dataset: Dataset) -> Change:
    """What a data set frozen now would have that this one has not. Raises CannotFreeze."""
    before = {entry.sha256: entry for entry in read_manifest(dataset)}
    now = {
        sha256: (text, split)
        for sha256, text, split in _agreed(dataset.captcha_type).values_list("sha256", "text", "split")
    }
    both = before.keys() & now.keys()
    return Change(
        added=len(now.keys() - before.keys()),
        removed=len(before.keys() - now.keys()),
        retexted=sum(before[one].text != now[one][0] for one in both),
        moved=sum(before[one].split != now[one][1] for one in both),
    )


def facts_of(captcha_type: CaptchaType) -> dict[str, Any]:
    """Counts, alphabet, class balance, duplicates and agreement of the agreed images."""
    agreed = _agreed(captcha_type)
    texts = list(agreed.values_list("text", flat=True))
    characters = Counter(character for text in texts for character in text)
    rules = LabelRules.of(captcha_type)
    unseen = sorted({rules.fold(character) for character in rules.alphabet} - set(characters))
    return {
        "images": len(texts),
        "splits": {split: agreed.filter(split=split).count() for split in Split.values},
        "texts": len(set(texts)),
        "lengths": {str(length): n for length, n in sorted(Counter(map(len, texts)).items())},
        "alphabet": "".join(sorted(characters)),
        "unseen": "".join(unseen),
        "characters": dict(characters.most_common()),
        "duplicates": agreed.aggregate(total=Sum("duplicates"))["total"] or 0,
        "agreement": _agreement(captcha_type),
    }


def _agreement(captcha_type: CaptchaType) -> dict[str, int]:
    """Of the images that two or more people read in one round: on how many all said the same."""
    read_twice = (
        Label.objects.filter(sample__captcha_type=captcha_type, undone_at__isnull=True)
        .exclude(kind=Label.Kind.SKIPPED)
        .exclude(mode=Mode.IMPORT)
        .values("sample", "round")
        .annotate(people=Count("pk"), texts=Count("text", distinct=True), kinds=Count("kind", distinct=True))
        .filter(people__gte=2)
    )
    counts = read_twice.aggregate(n=Count("pk"), same=Count("pk", filter=Q(texts=1, kinds=1)))
    return {"n": counts["n"], "same": counts["same"]}


def _agreed(captcha_type: CaptchaType) -> Any:
    agreed = Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.AGREED)
    return for_training(agreed).order_by("sha256")


def _join_all_twins(captcha_type: CaptchaType) -> None:
    """Two people may have given the same text to two images at the same moment, each unseen by the other."""
    rules = LabelRules.of(captcha_type)
    parts: dict[str, tuple[set[str], Sample]] = {}
    for sample in _agreed(captcha_type):
        parts.setdefault(rules.fold(sample.text).casefold(), (set(), sample))[0].add(sample.split)
    for splits, sample in parts.values():
        if len(splits) > 1:
            join_twins(sample)


def _entry(sample: Sample) -> Entry:
    suffix = PurePosixPath(str(sample.image.name)).suffix
    below = f"{TEST_FOLDER}/" if sample.split == Split.TEST else ""
    return Entry(f"{below}images/{sample.sha256[:16]}{suffix}", sample.sha256, sample.text, sample.split)


def _write(folder: Path, samples: Sequence[Sample], entries: Sequence[Entry], dataset: Dataset) -> None:
    """The whole folder under another name first: nobody ever sees a part of it."""
    partial = folder.with_name(f".{folder.name}.{dataset.content_hash[:12]}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for part in ("images", f"{TEST_FOLDER}/images"):
            (partial / part).mkdir(parents=True)
        for sample, entry in zip(samples, entries, strict=True):
            (partial / entry.file).write_bytes(_bytes_of(sample))
        _write_table(partial, [entry for entry in entries if entry.split != Split.TEST])
        _write_table(partial / TEST_FOLDER, [entry for entry in entries if entry.split == Split.TEST])
        (partial / MANIFEST).write_text(_manifest(dataset, entries), encoding="utf-8")
        for path in partial.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        if folder.exists():  # left by a crash between the folder and its row
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CannotFreeze(f"the folder cannot be written: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _bytes_of(sample: Sample) -> bytes:
    with sample.image.open("rb") as file:
        data: bytes = file.read()
    if hash_bytes(data) != sample.sha256:
        raise CannotFreeze(f"the file of image {sample.pk} is damaged")
    return data


def _write_table(folder: Path, entries: Sequence[Entry]) -> None:
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["filename", "label", "split"])
        for entry in entries:
            writer.writerow([entry.file.removeprefix(f"{TEST_FOLDER}/"), entry.text, entry.split])


def _manifest(dataset: Dataset, entries: Sequence[Entry]) -> str:
    rules = LabelRules.of(dataset.captcha_type)
    return json.dumps(
        {
            "format": FORMAT,
            "type": dataset.captcha_type.slug,
            "number": dataset.number,
            "content_hash": dataset.content_hash,
            "created": timezone.now().isoformat(timespec="seconds"),
            "rules": rules.as_dict(),
            "facts": dataset.facts,
            "images": [entry.__dict__ for entry in entries],
        },
        ensure_ascii=False,
        indent=1,
    )
