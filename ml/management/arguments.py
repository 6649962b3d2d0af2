"""What several commands take: folders of labelled images, a progress bar, the training packages."""

import csv
import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

import jobs.progress
from jobs.progress import is_quiet, report, watched
from ml.recognition.datasets import IMAGE_SUFFIXES, DatasetError, Example, load_folder


def load_folders(folders: Iterable[Path]) -> dict[str, list[Example]]:
    """The examples of each folder by the folder's name.

    Raises:
        CommandError: a folder that is no data set, or two of one name.
    """
    loaded: dict[str, list[Example]] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in loaded:
            raise CommandError(f"Two folders are named {name}; the name says which type the images are of.")
        try:
            loaded[name] = load_folder(folder)
        except DatasetError as error:
            raise CommandError(str(error)) from error
    return loaded


def images_below(folders: Iterable[Path]) -> list[Path]:
    """The image files of the folders, ordered by name, whatever they are called.

    Raises:
        CommandError: a folder that is none.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise CommandError(f"{folder} is not a folder")
        found += sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return found


def progress(items: Iterable[Any], total: int) -> Iterable[Any]:
    """The items behind a progress bar, where somebody watches."""
    return jobs.progress.progress(items, total, unit="image")


SHARES = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
"""How a bar of shares is written: what is left is guessed from what went by."""


class TrainingBar:
    """A progress bar over one training run, which reports its share done and a line of figures.

    `table`: the CSV that the run writes as it goes; its newest row is told to the job that this may be.
    """

    def __init__(self, title: str, table: Path | None = None) -> None:
        self._table = table
        self._bar = tqdm(total=1.0, desc=title, bar_format=SHARES, disable=not watched())

    def __call__(self, share: float, line: str) -> None:
        self._bar.update(share - self._bar.n)
        if not is_quiet():
            self._bar.write(f"{share:4.0%}  {line}", file=sys.stderr)
        report(round(share * 100), 100, line, **self._figures())

    def _figures(self) -> dict[str, float]:
        """The point of the curves that the newest row makes; none where there is no such table."""
        if self._table is None or not self._table.is_file():
            return {}
        with self._table.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        row = rows[-1] if rows else {}
        names = {"step": "steps", "loss": "loss", "validation exact match": "validation_exact_match"}
        return {name: float(row[column]) for name, column in names.items() if column in row}

    def close(self) -> None:
        self._bar.close()


def require_training() -> None:
    """Refuse where the training packages are missing; else quieten TensorFlow before it is imported.

    Raises:
        CommandError: with the line to type.
    """
    if any(find_spec(name) is None for name in ("tensorflow", "keras", "tf2onnx")):
        raise CommandError("Training needs TensorFlow, which is not installed here. Type: make training")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what stops a training is raised besides
