"""Labelled image folders, and splits of them in which twins never cross.

A folder's labels are its file names (``2KXQE.jpeg``, ``33+2=?.jpeg``, ``ABC__2.png`` for a second ABC),
or the columns ``filename`` and ``label`` of its ``labels.csv`` where it has one.
"""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"})
LABELS_FILE = "labels.csv"


class DatasetError(ValueError):
    """The folder cannot be used as a data set; the message says which file and why."""


@dataclass(frozen=True)
class Example:
    """One labelled image; `data_hash` is the SHA-256 (hex) of the file's bytes."""

    path: Path
    data_hash: str
    label: str


def load_folder(directory: Path | str) -> list[Example]:
    """The examples of a folder, ordered by file name. Nothing is decoded here.

    Raises:
        DatasetError: no such folder, no images, a name without a label, or a wrong ``labels.csv``.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder")
    table = folder / LABELS_FILE
    labelled = _labels_of_table(table) if table.is_file() else _labels_of_names(folder)
    if not labelled:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DatasetError(f"{folder} holds no images ({suffixes})")
    return [Example(path, hash_bytes(path.read_bytes()), label) for path, label in labelled]


def label_of_name(name: str) -> str:
    """The label that a file name carries: ``"ABC__2.png"`` is ``"ABC"``.

    Raises:
        DatasetError: when the name carries no label.
    """
    label = unicodedata.normalize("NFC", Path(name).stem).split("__", 1)[0]
    if not label.strip():
        raise DatasetError(f"{name}: the file name carries no label (expected names like 2KXQE.jpeg)")
    return label


def hash_bytes(data: bytes) -> str:
    """SHA-256 of a file's bytes, in hex: how images are told apart everywhere."""
    return hashlib.sha256(data).hexdigest()


def content_hash(examples: Iterable[Example]) -> str:
    """SHA-256 over images and labels, whatever their order, file names and folder."""
    lines = sorted(f"{example.data_hash} {example.label}\n" for example in examples)
    return hash_bytes("".join(lines).encode())


def split(examples: Sequence[Example], fractions: Sequence[float], seed: int = 0) -> list[list[Example]]:
    """Parts of about the given fractions (they sum to 1), the same for the same content and seed.

    Examples that share their label (in any case) or their bytes always land in one part.

    Raises:
        DatasetError: when a part would be empty.
    """
    if not fractions or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must be positive and sum to 1, not {list(fractions)}")
    parts: list[list[Example]] = [[] for _ in fractions]
    for group in _shuffled_groups(examples, seed):
        # The part that is furthest below its share: twins move together without starving a small part.
        emptiest = min(range(len(parts)), key=lambda i: (len(parts[i]) / fractions[i], i))
        parts[emptiest].extend(group)
    if not all(parts):
        raise DatasetError(f"{len(examples)} examples with these labels cannot fill {len(parts)} parts")
    return parts


def k_folds(examples: Sequence[Example], k: int, seed: int = 0) -> list[tuple[list[Example], list[Example]]]:
    """`k` pairs (training, held out): each example is held out exactly once, twins together.

    Raises:
        DatasetError: when a fold would be empty.
    """
    if k < 2:
        raise ValueError(f"cross-validation takes at least 2 folds, not {k}")
    parts = split(examples, [1 / k] * k, seed)
    return [([example for other in parts if other is not part for example in other], part) for part in parts]


def _labels_of_names(folder: Path) -> list[tuple[Path, str]]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return [(path, label_of_name(path.name)) for path in paths if not path.name.startswith(".")]


def _labels_of_table(table: Path) -> list[tuple[Path, str]]:
    """Rows of ``labels.csv``; every complaint carries its line."""
    folder = table.parent.resolve()
    labelled: dict[Path, str] = {}
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if not {"filename", "label"} <= set(rows.fieldnames or ()):
                raise DatasetError(f"{table}: the first line must name the columns filename and label")
            for row in rows:
                where = f"{table}, line {rows.line_num}"
                name, label = row["filename"], row["label"]
                if not name or not label:
                    raise DatasetError(f"{where}: filename and label must both be given")
                path = (folder / name).resolve()
                if not path.is_relative_to(folder):
                    raise DatasetError(f"{where}: {name} lies outside the folder")
                if not path.is_file():
                    raise DatasetError(f"{where}: there is no file {name}")
                if path in labelled:
                    raise DatasetError(f"{where}: {name} is listed twice")
                labelled[path] = unicodedata.normalize("NFC", label)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{table}: not a readable UTF-8 CSV file ({error})") from error
    return sorted(labelled.items())


def _shuffled_groups(examples: Sequence[Example], seed: int) -> list[list[Example]]:
    """Examples joined by equal label or equal bytes, in an order drawn from their content and the seed."""
    leader: dict[str, str] = {}

    def find(key: str) -> str:
        while leader.setdefault(key, key) != key:
            leader[key] = key = leader[leader[key]]
        return key

    for example in examples:
        twins = find("label " + example.label.casefold()), find("bytes " + example.data_hash)
        leader[max(twins)] = min(twins)
    groups: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda e: (e.data_hash, e.label, str(e.path))):
        groups.setdefault(find("bytes " + example.data_hash), []).append(example)
    order = sorted(groups, key=lambda key: hash_bytes(f"{seed} {groups[key][0].data_hash}".encode()))
    return [groups[key] for key in order]
