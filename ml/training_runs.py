"""A training run on this machine: where its artifact goes, and whether it is better than what serves."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml import registry
from ml.comparison import evaluate_together, unseen_by
from ml.evaluation import read_examples
from ml.models import GENERAL_SLUG, ModelVersion, root_of
from ml.recognition.artifacts import ArtifactError, ReaderSpec, load_spec
from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.datasets import Example
from ml.recognition.metrics import Interval, describe_interval, interval
from ml.recognition.reader import Reader
from ml.services import TypeIsGone, next_version, register_version

PARTIAL = ".partial"
SECONDS_TO_LOCK = 60
"""A folder younger than this may belong to a run that has not locked it yet."""
MADE_BY = "manage.py train"


class CannotTrain(Exception):
    """The run cannot begin; the message says why."""


@dataclass(frozen=True)
class TrainingFolder:
    """`path` is written to while training; at the end it becomes `final`, SLUG/VERSION."""

    path: Path
    final: Path
    version: int


@contextmanager
def training_folder(slug: str, out: Path | None = None) -> Iterator[TrainingFolder]:
    """An empty folder to train into, by default of the slug's next version below ARTIFACTS_ROOT.

    It gets its own name only when the block ends well; what a failed or stopped run leaves is deleted, and
    what a killed one left with the next run.

    Raises:
        CannotTrain: `out` exists already.
    """
    _sweep(root_of(ModelVersion.Origin.TRAINED) / slug)
    version = next_version(slug)
    final = root_of(ModelVersion.Origin.TRAINED) / slug / str(version)
    if out is not None:
        final = out.resolve()
        version = int(final.name) if final.name.isdecimal() and int(final.name) else 1
    partial = final.with_name(final.name + PARTIAL)
    if final.exists() or partial.exists():
        raise CannotTrain(f"{final} exists already: delete it or choose another folder")
    partial.mkdir(parents=True)
    with _locked(partial):
        try:
            yield TrainingFolder(partial, final, version)
            partial.rename(final)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _sweep(folder: Path) -> None:
    """Delete what runs left that were killed: the lock of one that is under way is held by its process."""
    for partial in folder.glob(f"*{PARTIAL}"):
        if time.time() - partial.stat().st_mtime < SECONDS_TO_LOCK:
            continue
        with contextlib.suppress(BlockingIOError, FileNotFoundError), _locked(partial):
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError where another process holds the lock, FileNotFoundError without the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def register_if_below_a_root(
    folder: Path, *, owner: Any = None, new_type: bool = True
) -> ModelVersion | None:
    """The version of a finished folder; None for one that lies elsewhere, as --out allows.

    Without `new_type`, a folder whose type is gone by now is deleted.
    """
    roots = [root_of(origin).resolve() for origin in ModelVersion.Origin.values]
    if folder.resolve().parent.parent not in roots:
        return None
    try:
        return register_version(folder=folder, owner=owner, new_type=new_type)
    except TypeIsGone:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def starting_weights(source: str) -> Path | None:
    """The `reader.keras` to start from: `none`, a folder, a file, or a slug with or without a version.

    Raises:
        CannotTrain: there is none, or it does not write the general alphabet.
    """
    if source == "none":
        return None
    path = Path(source)
    if path.suffix == ".keras" and path.is_file():
        return path
    if not path.is_dir():
        path = _registered(source).path
    try:
        spec = load_spec(path)
    except ArtifactError as error:
        raise CannotTrain(str(error)) from error
    if not isinstance(spec, ReaderSpec) or spec.alphabet != GENERAL_ALPHABET:
        raise CannotTrain(f"{spec.name} is no general reader: tuning starts from one")
    if not (path / "reader.keras").is_file():
        raise CannotTrain(f"{path} holds no reader.keras")
    return path / "reader.keras"


def _registered(name: str) -> ModelVersion:
    slug, _, number = name.partition("/")
    versions = ModelVersion.objects.filter(slug=slug)
    if number.isdecimal():
        version = versions.filter(version=int(number)).first()
    else:
        version = versions.filter(state=ModelVersion.State.SERVING).first()
    if version is None:
        raise CannotTrain(
            f"There is no model {name} to start from: register the shipped ones (manage.py install_models), "
            "give a folder, or begin from nothing (--from none)"
        )
    return version


@dataclass(frozen=True)
class Comparison:
    """The new version and the present one on the same images, which neither was trained on."""

    new: Interval
    present: Interval
    present_name: str
    first_of_its_kind: bool
    """What it is compared with is the general reader, because the type had none of its own."""

    @property
    def better(self) -> bool:
        if self.first_of_its_kind:
            return self.new["correct"] >= self.present["correct"]
        return self.new["correct"] > self.present["correct"]

    def __str__(self) -> str:
        return (
            f"{describe_interval(self.new)} against {describe_interval(self.present)} of {self.present_name}"
        )


def compare_with_present(
    version: ModelVersion, folders: Mapping[str, Sequence[Example]]
) -> Comparison | None:
    """How `version` does beside what serves now; None when nothing serves or no image is left to judge by.

    The figures are stored as evaluations, so that the gate of promoting finds them.

    Raises:
        ArtifactError: one of the two cannot be loaded.
    """
    serving = {v.slug: v for v in ModelVersion.objects.filter(state=ModelVersion.State.SERVING)}
    present = serving.get(version.slug)
    if present is not None:
        rows = evaluate_together([version, present], folders, made_by=MADE_BY)
        if not rows:
            return None
        new, old = (interval(row.right, row.n) for row in rows)
        return Comparison(new, old, str(present), first_of_its_kind=False)
    evaluate_together([version], folders, made_by=MADE_BY)
    general = serving.get(GENERAL_SLUG)
    if general is None or version.kind != ModelVersion.Kind.READER:
        return None
    return _beside_the_general_reader(version, general, folders)


def _beside_the_general_reader(
    version: ModelVersion, general: ModelVersion, folders: Mapping[str, Sequence[Example]]
) -> Comparison | None:
    examples = [e for kept in unseen_by([version, general], folders).values() for e in kept]
    new, old = registry.open_model(version), registry.open_model(general)
    if not examples or not isinstance(new, Reader) or not isinstance(old, Reader):
        return None
    any_case = not new.spec.case_sensitive
    return Comparison(
        _right(new, examples, any_case=any_case),
        _right(old, examples, any_case=any_case),
        str(general),
        first_of_its_kind=True,
    )


def _right(reader: Reader, examples: Sequence[Example], *, any_case: bool) -> Interval:
    outcomes = list(read_examples(reader, examples))
    right = sum(
        o.text is not None and (o.text.upper() == o.truth.upper() if any_case else o.text == o.truth)
        for o in outcomes
    )
    return interval(right, len(outcomes))
