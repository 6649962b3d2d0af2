"""What is wrong with labelled images, before anything is trained on them.

`check_labels` says it in findings with counts; `usable` leaves out what nothing can be learned from (broken
files, images with two labels) and hands back the rest with the findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.datasets import Example
from ml.recognition.images import ImageError, open_image

FEWEST = 10
"""Labelled images below which nothing is trained."""
USUAL_LENGTH_SHARE = 0.9
"""From this share of one length on, the other lengths are reported."""
_NAMED = 5

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found: `count` times, `named` the first few of them.

    `level` is "error" (training is pointless), "warning" (it goes on, and reads worse) or "note" (fine).
    """

    code: str
    level: str
    count: int
    message: str
    named: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.named:
            return self.message
        more = ", …" if self.count > len(self.named) else ""
        return f"{self.message}: {', '.join(self.named)}{more}"


def usable(
    examples: Sequence[Example], *, fewest: int = FEWEST, decode: bool = True
) -> tuple[list[Example], list[Finding]]:
    """The examples that can be learned from, and all findings; `decode` False opens no image."""
    kept, findings = list(examples), []
    if decode:
        kept, found = without_broken(kept)
        findings += found
    conflicts = conflicting(kept)
    findings += conflicts
    if conflicts:
        labels = _labels_by_hash(kept)
        kept = [example for example in kept if len(labels[example.data_hash]) == 1]
    return kept, findings + check_labels(kept, fewest=fewest)


def check_labels(examples: Sequence[Example], *, fewest: int = FEWEST) -> list[Finding]:
    """Findings about the labels alone; worst first."""
    found = [
        *_too_few(examples, fewest),
        *_all_equal(examples),
        *_odd_lengths(examples),
        *_seen_once(examples),
        *_blanks(examples),
        *_foreign(examples),
        *_repeated_labels(examples),
        *_repeated_images(examples),
    ]
    return sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.level))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that make training pointless."""
    return [finding for finding in findings if finding.level == ERROR]


def without_broken(examples: Iterable[Example]) -> tuple[list[Example], list[Finding]]:
    """The examples whose images open, and a finding on those that do not. Opens every image."""
    kept, broken = [], []
    for example in examples:
        try:
            open_image(example.path.read_bytes())
        except (ImageError, OSError) as error:
            broken.append(f"{example.path.name} ({error})")
        else:
            kept.append(example)
    if not broken:
        return kept, []
    message = f"{_images(len(broken))} cannot be opened and {_are(len(broken))} left out"
    return kept, [_finding("broken", WARNING, broken, message)]


def conflicting(examples: Sequence[Example]) -> list[Finding]:
    """Files of the same bytes under different labels: at most one of them can be right."""
    conflicts = [
        f"{' ≠ '.join(sorted(labels))} ({data_hash[:8]})"
        for data_hash, labels in _labels_by_hash(examples).items()
        if len(labels) > 1
    ]
    if not conflicts:
        return []
    have = "has" if len(conflicts) == 1 else "have"
    message = f"{_images(len(conflicts))} {have} two labels and {_are(len(conflicts))} left out"
    return [_finding("conflict", WARNING, conflicts, message)]


def _too_few(examples: Sequence[Example], fewest: int) -> list[Finding]:
    n = len(examples)
    if n >= fewest:
        return []
    message = f"{_images(n)} with a label {_are(n)} too few: {fewest} or more are needed"
    return [Finding("too_few", ERROR, n, message)]


def _all_equal(examples: Sequence[Example]) -> list[Finding]:
    labels = {example.label for example in examples}
    if len(labels) != 1 or len(examples) < 2:
        return []
    message = f"all {len(examples)} labels are {labels.pop()!r}: nothing can be learned from one text"
    return [Finding("all_equal", ERROR, len(examples), message)]


def _odd_lengths(examples: Sequence[Example]) -> list[Finding]:
    lengths = Counter(len(example.label) for example in examples)
    if len(lengths) < 2:
        return []
    usual, count = lengths.most_common(1)[0]
    if count < USUAL_LENGTH_SHARE * len(examples):
        return []
    odd = [f"{e.label} ({e.path.name})" for e in examples if len(e.label) != usual]
    message = f"{_labels(len(odd))} not {usual} characters long as the other {count} {_are(count)}"
    return [_finding("length", WARNING, odd, message)]


def _seen_once(examples: Sequence[Example]) -> list[Finding]:
    """In any case of letters, unless the labels use both cases."""
    characters = "".join(example.label for example in examples)
    if not (any(c.islower() for c in characters) and any(c.isupper() for c in characters)):
        characters = characters.upper()
    rare = sorted(character for character, count in Counter(characters).items() if count == 1)
    if not rare:
        return []
    what = "1 character is" if len(rare) == 1 else f"{len(rare)} characters are"
    message = f"{what} seen once: no reader learns a character from one example"
    return [_finding("seen_once", WARNING, rare, message, named=40)]


def _blanks(examples: Sequence[Example]) -> list[Finding]:
    blank = [f"{e.label!r} ({e.path.name})" for e in examples if any(c.isspace() for c in e.label)]
    if not blank:
        return []
    hold = "holds" if len(blank) == 1 else "hold"
    message = f"{_labels(len(blank), verb=False)} {hold} a space, which no reader writes"
    return [_finding("space", WARNING, blank, message)]


def _foreign(examples: Sequence[Example]) -> list[Finding]:
    used = {character for example in examples for character in example.label if not character.isspace()}
    foreign = sorted(used - set(GENERAL_ALPHABET.characters))
    if not foreign:
        return []
    what = "1 character is" if len(foreign) == 1 else f"{len(foreign)} characters are"
    message = f"{what} unknown to the general reader and learned from nothing"
    return [_finding("foreign", NOTE, foreign, message, named=40)]


def _repeated_labels(examples: Sequence[Example]) -> list[Finding]:
    """Different images with one label: usual, but twins are never parted, so the count is of interest."""
    hashes: dict[str, set[str]] = {}
    for example in examples:
        hashes.setdefault(example.label, set()).add(example.data_hash)
    repeated = sorted(label for label, images in hashes.items() if len(images) > 1)
    if not repeated or len(hashes) == 1:
        return []
    what = "1 label stands" if len(repeated) == 1 else f"{len(repeated)} labels stand"
    message = f"{what} on more than one image; such images are trained on or tested on together"
    return [_finding("repeated_label", NOTE, repeated, message)]


def _repeated_images(examples: Sequence[Example]) -> list[Finding]:
    names: dict[str, list[str]] = {}
    for example in examples:
        names.setdefault(example.data_hash, []).append(example.path.name)
    repeated = [" = ".join(same) for same in names.values() if len(same) > 1]
    if not repeated:
        return []
    are = "is" if len(repeated) == 1 else "are"
    return [_finding("repeated_image", NOTE, repeated, f"{_images(len(repeated))} {are} there twice or more")]


def _labels_by_hash(examples: Iterable[Example]) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for example in examples:
        labels.setdefault(example.data_hash, set()).add(example.label)
    return labels


def _finding(code: str, level: str, things: Sequence[str], message: str, named: int = _NAMED) -> Finding:
    return Finding(code, level, len(things), message, tuple(islice(things, named)))


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _labels(count: int, *, verb: bool = True) -> str:
    words = "1 label" if count == 1 else f"{count} labels"
    return f"{words} {_are(count)}" if verb else words


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
