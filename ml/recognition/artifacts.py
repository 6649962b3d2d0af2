"""The folder that a model travels in: ``SLUG/VERSION/`` with weights, spec, report and checksums.

Files: ``reader.onnx`` or ``types.onnx`` (what serves), ``reader.keras`` or ``types.keras`` (what training
continues from), ``spec.json``, ``report.html``, ``trained_on.txt`` (SHA-256 of each training image, one a
line) and ``SHA256SUMS`` (as ``sha256sum`` writes it, of every other file).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.images import InputSize
from ml.recognition.looks import PLAIN, Look

SUMS_FILE = "SHA256SUMS"
SPEC_FILE = "spec.json"
TRAINED_ON_FILE = "trained_on.txt"
MAX_FILE_BYTES = 4 * 1024 * 1024
OTHER = "other"
"""The type model's label for pictures of no known type."""

_SUMS_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\]+)")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ArtifactError(Exception):
    """The folder holds no usable model; the message names the file and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ReaderSpec:
    """What a reader's weights need in order to be used, and how well they read."""

    kind: ClassVar[str] = "reader"
    slug: str
    version: int
    input: InputSize
    alphabet: Alphabet
    case_sensitive: bool = True
    """False: answers are given in upper case."""
    min_length: int | None = None
    max_length: int | None = None
    """Lengths of the text, hard constraints on decoding; None leaves them free."""
    arithmetic: bool = False
    """The text is a sum and the answer its value."""
    looks: tuple[Look, ...] = (PLAIN,)
    """How a picture is shown to the network, once or several times; the first time as it is."""
    expectation: float = 0.0
    """Weight of what issuers usually write, beside what is seen; for a reader of types that nobody knows."""
    temperature: float = 1.0
    min_confidence: float = 0.0
    dataset: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def name(self) -> str:
        """``"captcha_type_a/1"``."""
        return f"{self.slug}/{self.version}"

    def to_json(self) -> str:
        return _dump(self, alphabet=self.alphabet.characters, blank=BLANK)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ArtifactError naming the field that is missing or wrong."""
        fields = _parse(text, cls.kind)
        if fields.pop("blank", None) != BLANK:
            raise ArtifactError(f"{SPEC_FILE}: blank must be {BLANK}")
        try:
            fields["alphabet"] = Alphabet(fields["alphabet"])
            fields["input"] = InputSize(**fields["input"])
            if "looks" in fields:
                fields["looks"] = tuple(Look(**look) for look in fields["looks"])
            spec = cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{SPEC_FILE}: {error}") from error
        _check_common(spec)
        _require(spec.looks[:1] == (PLAIN,), "looks", "a list that begins with a picture as it is")
        _require(0 <= spec.expectation <= 2, "expectation", "between 0 and 2")
        for name in ("min_length", "max_length"):
            length = getattr(spec, name)
            _require(length is None or (_is_int(length) and length > 0), name, "a positive number or null")
        _require(0 <= spec.min_confidence <= 1, "min_confidence", "between 0 and 1")
        return spec


@dataclass(frozen=True, kw_only=True)
class TypesSpec:
    """What the type model needs in order to be used, and how well it decides."""

    kind: ClassVar[str] = "types"
    slug: str = "types"
    version: int
    input: InputSize
    labels: tuple[str, ...]
    """Slugs of the types it knows, and OTHER."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """The least probability at which a picture is taken for a type."""
    temperature: float = 1.0
    dataset: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    created: str = ""

    @property
    def name(self) -> str:
        """``"types/1"``."""
        return f"{self.slug}/{self.version}"

    def to_json(self) -> str:
        return _dump(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ArtifactError naming the field that is missing or wrong."""
        fields = _parse(text, cls.kind)
        try:
            fields["labels"] = tuple(fields["labels"])
            fields["input"] = InputSize(**fields["input"])
            spec = cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{SPEC_FILE}: {error}") from error
        _check_common(spec)
        _require(OTHER in spec.labels, "labels", f"a list that holds {OTHER!r}")
        _require(set(spec.thresholds) <= set(spec.labels), "thresholds", "given for labels alone")
        return spec


def load_spec(folder: Path) -> ReaderSpec | TypesSpec:
    """The spec of an artifact folder, unverified (`verify` checks the folder).

    Raises:
        ArtifactError: it is missing, damaged or of an unknown kind.
    """
    try:
        text = (folder / SPEC_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{folder}: {SPEC_FILE} cannot be read ({error})") from error
    return parse_spec(text)


def parse_spec(text: str) -> ReaderSpec | TypesSpec:
    """The spec in the text of a ``spec.json``, whichever its kind.

    Raises:
        ArtifactError: it is damaged or of an unknown kind.
    """
    kind = _parse(text, None).get("kind")
    if kind == ReaderSpec.kind:
        return ReaderSpec.from_json(text)
    if kind == TypesSpec.kind:
        return TypesSpec.from_json(text)
    raise ArtifactError(f"{SPEC_FILE}: kind must be reader or types, not {kind!r}")


def model_file(spec: ReaderSpec | TypesSpec) -> str:
    """Name of the file that serves: ``reader.onnx`` or ``types.onnx``."""
    return f"{spec.kind}.onnx"


def write_checksums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over every other file of the folder: the last step of an export."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS_FILE)
    lines = [f"{_hash((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def verify(
    folder: Path, max_bytes: int = MAX_FILE_BYTES, *, names: Collection[str] | None = None
) -> dict[str, str]:
    """SHA-256 (hex) of the folder's files by name, after checking each against ``SHA256SUMS``.

    `names` limits the check to those files, which must then be there.

    Raises:
        ArtifactError: a file is missing, too large, damaged, unlisted, or no plain file.
    """
    sums = read_checksums(folder)
    if names is None:
        unlisted = sorted(path.name for path in folder.iterdir() if path.name not in {*sums, SUMS_FILE})
        if unlisted:
            raise ArtifactError(f"{folder}: {', '.join(unlisted)} not listed in {SUMS_FILE}")
    for name in sums if names is None else names:
        read_file(folder, name, sums, max_bytes)
    return sums


def read_checksums(folder: Path) -> dict[str, str]:
    """The lines of ``SHA256SUMS``: file name to SHA-256.

    Raises:
        ArtifactError: no such file, or a line that is none of ``sha256sum``'s.
    """
    try:
        lines = (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{folder}: {SUMS_FILE} cannot be read ({error})") from error
    sums = {}
    for line in lines:
        match = _SUMS_LINE.fullmatch(line)
        if match is None:
            raise ArtifactError(f"{folder}: {SUMS_FILE} holds the wrong line {line[:80]!r}")
        sums[match[2]] = match[1]
    return sums


def read_file(folder: Path, name: str, sums: Mapping[str, str], max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """The verified bytes of one file: what is loaded is what was hashed.

    Raises:
        ArtifactError: the file is missing, too large, unlisted or damaged.
    """
    path = folder / name
    if name not in sums:
        raise ArtifactError(f"{folder}: {name} not listed in {SUMS_FILE}")
    try:
        if path.is_symlink() or not path.is_file():
            raise ArtifactError(f"{folder}: {name} is missing")
        if path.stat().st_size > max_bytes:
            raise ArtifactError(f"{folder}: {name} is larger than {max_bytes:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{folder}: {name} cannot be read ({error})") from error
    if _hash(data) != sums[name]:
        raise ArtifactError(f"{folder}: {name} is damaged (its SHA-256 is not the one in {SUMS_FILE})")
    return data


def trained_on(folder: Path) -> frozenset[str]:
    """Hashes of the images a version was trained on, to leave out of its evaluation.

    Raises:
        ArtifactError: the list cannot be read.
    """
    try:
        return frozenset((folder / TRAINED_ON_FILE).read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{folder}: {TRAINED_ON_FILE} cannot be read ({error})") from error


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _dump(spec: ReaderSpec | TypesSpec, **replaced: Any) -> str:
    fields = {"kind": spec.kind, **asdict(spec), **replaced}
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def _parse(text: str, kind: str | None) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"{SPEC_FILE}: not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise ArtifactError(f"{SPEC_FILE}: not a JSON object")
    if kind is not None and fields.pop("kind", None) != kind:
        raise ArtifactError(f"{SPEC_FILE}: kind must be {kind}")
    return fields


def _check_common(spec: ReaderSpec | TypesSpec) -> None:
    _require(isinstance(spec.slug, str) and _SLUG.fullmatch(spec.slug) is not None, "slug", "a slug")
    _require(_is_int(spec.version) and spec.version > 0, "version", "a positive number")
    sides = asdict(spec.input).values()
    _require(all(_is_int(side) and 0 < side <= 4096 for side in sides), "input", "pixels from 1 to 4096")
    _require(isinstance(spec.temperature, (int, float)) and spec.temperature > 0, "temperature", "above 0")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(condition: bool, name: str, expected: str) -> None:
    if not condition:
        raise ArtifactError(f"{SPEC_FILE}: {name} must be {expected}")
