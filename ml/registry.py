"""The models that this process reads with, kept equal to the registry in the database.

Each process holds one `Recognizer` built from the serving versions. At most once a second one cheap query
asks whether that set has changed; if so the readers are exchanged at once, in one assignment. A version that
fails to load leaves the one before it at work; the reason is logged and stored with the version.

Readers of customers' own types are opened when their owner first asks, and the least lately used are closed
again: else each customer would cost every process memory and a part of its start.
"""

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q

from ml.models import GENERAL_SLUG, TYPES_SLUG, ModelVersion, root_of
from ml.recognition.artifacts import SPEC_FILE, ArtifactError, read_checksums
from ml.recognition.pipeline import Recognizer
from ml.recognition.reader import Reader, TypeClassifier
from ml.selectors import available_types

__all__ = ["Readiness", "Registry", "available_types", "loaded_versions", "open_model", "ready", "recognizer"]

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""How long a process may go on without asking the database what serves."""
RETRY_SECONDS = 30.0
"""How long after a failure to load the same version is tried again (its files may have been repaired)."""
FALLBACKS = 3
"""How many earlier versions a process that has none at work tries when the serving one does not load."""


class ServingVersion(NamedTuple):
    """A serving row; the tuple of all of them is the fingerprint by which a change is noticed."""

    pk: int
    slug: str
    kind: str
    version: int
    origin: str
    folder: str
    sha256: str
    spec_sha256: str
    registered_at: datetime
    owner_id: int | None

    def __str__(self) -> str:
        return f"{self.slug}/{self.version}"

    @property
    def path(self) -> Path:
        return root_of(self.origin) / self.folder


@dataclass(frozen=True)
class Readiness:
    """Whether this process can read captchas; true when it can."""

    ready: bool
    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.ready


@dataclass(frozen=True)
class _Loaded:
    row: ServingVersion
    model: Reader | TypeClassifier


@dataclass(frozen=True)
class _Snapshot:
    """What a process reads with. Never altered, only replaced: a request keeps the one it began with."""

    rows: tuple[ServingVersion, ...]
    loaded: Mapping[str, _Loaded]
    """Of public types, the general reader and the type model; private readers open at their first use."""
    problems: Mapping[str, str]
    public: Recognizer
    of_owners: Mapping[int, Recognizer]
    shadows: Mapping[str, ServingVersion] = field(default_factory=dict)
    """By slug the version that reads along without answering. Not loaded here: no answer waits for it."""

    @property
    def can_read(self) -> bool:
        """Private readers count unopened: whether one opens shows when its owner asks."""
        return any(isinstance(entry.model, Reader) for entry in self.loaded.values()) or bool(self.of_owners)


@dataclass(frozen=True)
class _Kept:
    """What came of opening the version `asked`: a model, of an earlier version where there is a problem."""

    asked: ServingVersion
    loaded: _Loaded | None
    problem: str
    next_try: float


class _PrivateReaders:
    """The private readers that a process has open, PRIVATE_READERS at most."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def reader(self, row: ServingVersion) -> Reader | None:
        """The reader of a serving row; of the version before, or None, while it does not load."""
        with self._lock:
            kept = self._kept.get(row.slug)
            if (
                kept is None
                or kept.asked[:-1] != row[:-1]
                or (kept.problem and self._clock() >= kept.next_try)
            ):
                loaded, problem = _open(row, kept.loaded if kept else None)
                _record({row.slug: problem} if problem else {}, [] if problem else [row.pk], (row,))
                kept = self._kept[row.slug] = _Kept(row, loaded, problem, self._clock() + RETRY_SECONDS)
            self._kept.move_to_end(row.slug)
            while len(self._kept) > settings.PRIVATE_READERS:
                self._kept.popitem(last=False)
        model = kept.loaded.model if kept.loaded else None
        return model if isinstance(model, Reader) else None

    def forget_others(self, slugs: Iterable[str]) -> None:
        """Close what serves no more."""
        serving = set(slugs)
        with self._lock:
            for slug in [slug for slug in self._kept if slug not in serving]:
                del self._kept[slug]

    def kept(self) -> dict[str, _Kept]:
        with self._lock:
            return dict(self._kept)


class _ReadersOfOwner(Mapping[str, Reader]):
    """The public readers, and an owner's own, each opened when it is asked for."""

    def __init__(
        self, public: Mapping[str, Reader], own: Mapping[str, ServingVersion], private: _PrivateReaders
    ) -> None:
        self._public, self._own, self._private = public, own, private

    def __getitem__(self, slug: str) -> Reader:
        row = self._own.get(slug)
        reader = self._public[slug] if row is None else self._private.reader(row)
        if reader is None:
            raise KeyError(slug)
        return reader

    def __iter__(self) -> Iterator[str]:
        return chain(self._public, self._own)

    def __len__(self) -> int:
        return len(self._public) + len(self._own)


def recognizer(user_id: int | None = None) -> Recognizer:
    """The recognizer with all public readers and, for `user_id`, those of that user's private types."""
    snapshot = _registry.snapshot()
    return snapshot.public if user_id is None else snapshot.of_owners.get(user_id, snapshot.public)


def loaded_versions() -> dict[str, int]:
    """Slug to primary key of the `ModelVersion` that this process has open to read with."""
    loaded = {slug: entry.row.pk for slug, entry in _registry.snapshot().loaded.items()}
    private = {slug: one.loaded.row.pk for slug, one in _registry.private.kept().items() if one.loaded}
    return loaded | private


def shadows() -> Mapping[str, ServingVersion]:
    """By slug the version in shadow, as this process last saw it: no query, no waiting."""
    snapshot = _registry.current
    return snapshot.shadows if snapshot is not None else {}


def ready() -> Readiness:
    """For a readiness check. A version that failed to load is a problem; what still reads stays ready."""
    try:
        snapshot = _registry.snapshot()
    except DatabaseError as error:
        return Readiness(False, [f"the registry of models cannot be read: {error}"])
    problems = list(snapshot.problems.values())
    # Whoever asks sees no name of a private type.
    problems += [
        "a model of a private type cannot be loaded"
        for one in _registry.private.kept().values()
        if one.problem
    ]
    if not snapshot.can_read:
        problems.append("no reader is loaded (manage.py install_models registers the shipped ones)")
    return Readiness(snapshot.can_read, problems)


def open_model(version: ServingVersion | ModelVersion) -> Reader | TypeClassifier:
    """The model in a version's folder, after the checks that make it safe to read with.

    Raises:
        ArtifactError: files that are missing, damaged, too large, outside the root of the models, not those
            of the registry or of another model; or a network that does not give what its spec says.
    """
    _check_folder(version)
    kind = TypeClassifier if version.kind == ModelVersion.Kind.TYPES else Reader
    model = kind(version.path, expected_sha256=version.sha256)
    if (model.spec.slug, model.spec.version) != (version.slug, version.version):
        raise ArtifactError(
            f"{version}: the folder holds {model.spec.slug}/{model.spec.version}, not this version"
        )
    _try_out(version, model)
    return model


def _check_folder(version: ServingVersion | ModelVersion) -> None:
    """What can be said before a byte of the network is read. Raises ArtifactError."""
    folder = version.path
    if not folder.resolve().is_relative_to(root_of(version.origin).resolve()):
        raise ArtifactError(f"{version}: its folder lies outside the root of the models")
    sums = read_checksums(folder)
    for name in sums:
        file = folder / name
        if file.is_file() and file.stat().st_size > settings.MAX_MODEL_BYTES:
            raise ArtifactError(f"{version}: {name} is larger than {settings.MAX_MODEL_BYTES:,} bytes")
    if version.spec_sha256 and sums.get(SPEC_FILE) != version.spec_sha256:
        raise ArtifactError(f"{version}: {SPEC_FILE} is not the file that was registered")


def _try_out(version: ServingVersion | ModelVersion, model: Reader | TypeClassifier) -> None:
    """Run the network once on an empty picture: what does not work shows here and not in a request."""
    size = model.spec.input
    empty = np.full((1, size.height, size.min_width, 3), 255, np.uint8)
    wanted = model.spec.alphabet.size if isinstance(model, Reader) else len(model.spec.labels)
    try:
        given = model.logits(empty).shape
    except Exception as error:  # ONNX Runtime's own exceptions share no base class
        raise ArtifactError(f"{version}: the network does not run ({error})") from error
    if len(given) != (3 if isinstance(model, Reader) else 2) or given[-1] != wanted:
        raise ArtifactError(f"{version}: the network gives {given}, its spec names {wanted} classes")


class Registry:
    """One process's view of the serving versions. `clock` gives seconds and never runs backwards."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.private = _PrivateReaders(clock)
        self._snapshot: _Snapshot | None = None
        self._next_check = 0.0
        self._next_retry = 0.0

    @property
    def current(self) -> _Snapshot | None:
        """What is at work now, without a look at the database; None before the first snapshot."""
        return self._snapshot

    def snapshot(self) -> _Snapshot:
        """The current snapshot, refreshed when it is due.

        Only the very first call waits for models to load; later, one thread refreshes while the others
        go on with what they have.
        """
        current = self._snapshot
        if current is None:
            with self._lock:
                return self._refreshed()
        if self._clock() < self._next_check or not self._lock.acquire(blocking=False):
            return current
        try:
            return self._refreshed()
        finally:
            self._lock.release()

    def _refreshed(self) -> _Snapshot:
        """The snapshot after a look at the database, if one is due. The caller holds the lock."""
        current, now = self._snapshot, self._clock()
        if current is not None and now < self._next_check:
            return current
        self._next_check = now + CHECK_SECONDS
        rows, shadows = versions_at_work()
        if (
            current is not None
            and rows == current.rows
            and not (current.problems and now >= self._next_retry)
        ):
            if shadows != current.shadows:
                self._snapshot = current = replace(current, shadows=shadows)
            return current
        built = _build(rows, current.loaded if current is not None else {}, self.private)
        self.private.forget_others(row.slug for row in rows if row.owner_id is not None)
        self._snapshot = current = replace(built, shadows=shadows)
        self._next_retry = self._clock() + RETRY_SECONDS
        return current


def versions_at_work() -> tuple[tuple[ServingVersion, ...], dict[str, ServingVersion]]:
    """Of active types the serving versions, ordered by slug, and by slug those in shadow: one query."""
    rows = (
        ModelVersion.objects.filter(Q(state=ModelVersion.State.SERVING) | Q(shadow_since__isnull=False))
        .exclude(captcha_type__active=False)
        .order_by("slug")
        .values_list(
            "state", "pk", "slug", "kind", "version", "origin", "folder", "sha256", "spec_sha256",
            "registered_at", "captcha_type__owner_id",
        )
    )  # fmt: skip
    serving: list[ServingVersion] = []
    shadows: dict[str, ServingVersion] = {}
    for state, *fields in rows:
        row = ServingVersion._make(fields)
        if state == ModelVersion.State.SERVING:
            serving.append(row)
        else:
            shadows[row.slug] = row
    return tuple(serving), shadows


def _build(
    rows: tuple[ServingVersion, ...], before: Mapping[str, _Loaded], private: _PrivateReaders
) -> _Snapshot:
    """A snapshot of `rows`: public models already open are kept, the others opened, failures recorded."""
    loaded: dict[str, _Loaded] = {}
    problems: dict[str, str] = {}
    opened: list[int] = []
    for row in rows:
        if row.owner_id is not None:
            continue
        kept = before.get(row.slug)
        if kept is not None and kept.row[:-1] == row[:-1]:
            loaded[row.slug] = _Loaded(row, kept.model)
            continue
        model, problem = _open(row, kept)
        if model is not None:
            loaded[row.slug] = model
        if problem:
            problems[row.slug] = problem
        else:
            opened.append(row.pk)
    _keep_types_that_fit(loaded, problems, before)
    _record(problems, opened, tuple(row for row in rows if row.owner_id is None))
    return _snapshot(rows, loaded, problems, private)


def _open(row: ServingVersion, before: _Loaded | None) -> tuple[_Loaded | None, str]:
    """The model of a row and no problem; or what reads in its place, if anything does, and what is wrong."""
    try:
        return _Loaded(row, open_model(row)), ""
    except Exception as error:
        # Everything, on purpose: whatever is wrong with one model's files must not stop the others.
        logger.exception("model %s cannot be loaded", row)
        problem = f"{row} cannot be loaded: {error}"
    substitute = before or _earlier_version(row)
    if substitute is None:
        return None, problem
    return _Loaded(substitute.row._replace(owner_id=row.owner_id), substitute.model), problem


def _earlier_version(row: ServingVersion) -> _Loaded | None:
    """The last version that served before `row` and loads, for a process that starts beside a bad one."""
    earlier = ModelVersion.objects.filter(
        slug=row.slug, state=ModelVersion.State.RETIRED, promoted_at__isnull=False
    ).order_by("-promoted_at")
    for version in earlier[:FALLBACKS]:
        try:
            model = open_model(version)
        except Exception as error:
            logger.warning("model %s cannot take the place of %s: %s", version, row, error)
            continue
        fields = {name: getattr(version, name) for name in ServingVersion._fields if name != "owner_id"}
        return _Loaded(ServingVersion(**fields, owner_id=row.owner_id), model)
    return None


def _keep_types_that_fit(
    loaded: dict[str, _Loaded], problems: dict[str, str], before: Mapping[str, _Loaded]
) -> None:
    """Put the old type model back when the new one names a type whose reader has just failed to load."""
    new, old = loaded.get(TYPES_SLUG), before.get(TYPES_SLUG)
    if new is None or old is None or new.model is old.model or not isinstance(new.model, TypeClassifier):
        return
    missing = [slug for slug in new.model.spec.labels if slug in problems and slug not in loaded]
    if missing:
        loaded[TYPES_SLUG] = old
        problems[TYPES_SLUG] = f"{new.row} waits: it names {', '.join(missing)}, whose reader does not load"


def _record(problems: Mapping[str, str], opened: list[int], rows: tuple[ServingVersion, ...]) -> None:
    """Store the failures with their versions, and clear the ones that are over."""
    failed = {row.pk: problems[row.slug] for row in rows if row.slug in problems}
    try:
        with transaction.atomic():
            for pk, message in failed.items():
                ModelVersion.objects.filter(pk=pk).exclude(load_error=message).update(load_error=message)
            cleared = [pk for pk in opened if pk not in failed]
            if cleared:
                ModelVersion.objects.filter(pk__in=cleared).exclude(load_error="").update(load_error="")
    except DatabaseError:
        logger.exception("the state of the models could not be stored")


def _snapshot(
    rows: tuple[ServingVersion, ...],
    loaded: Mapping[str, _Loaded],
    problems: Mapping[str, str],
    private: _PrivateReaders,
) -> _Snapshot:
    types: TypeClassifier | None = None
    general: Reader | None = None
    public: dict[str, Reader] = {}
    own: dict[int, dict[str, ServingVersion]] = {}
    for row in rows:
        if row.owner_id is not None:
            own.setdefault(row.owner_id, {})[row.slug] = row
    for slug, entry in loaded.items():
        if isinstance(entry.model, TypeClassifier):
            types = entry.model
        elif slug == GENERAL_SLUG:
            general = entry.model
        else:
            public[slug] = entry.model
    return _Snapshot(
        rows=rows,
        loaded=loaded,
        problems=problems,
        public=Recognizer(types, public, general),
        of_owners={
            user: Recognizer(types, _ReadersOfOwner(public, rows_of_user, private), general)
            for user, rows_of_user in own.items()
        },
    )


_registry = Registry()


def reset() -> None:
    """Forget everything that is loaded; the next call opens it anew."""
    global _registry
    _registry = Registry()


# A session or a held lock of the parent is of no use in a child: each process opens its own.
os.register_at_fork(after_in_child=reset)
