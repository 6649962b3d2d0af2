"""What a captcha withstands: the general reader without a label, and what each defence is worth."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.audit.curve import Curve
from ml.recognition.audit.reading import Read, hints, median_cpu_ms, one_case, read, same, share_right
from ml.recognition.audit.state import Results
from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.datasets import Example
from ml.recognition.decoding import Constraints
from ml.recognition.images import open_image
from ml.recognition.metrics import Interval, interval
from ml.recognition.reader import Reader
from ml.recognition.synthesis import defences

Progress = Callable[[float, str], None]

DRAWN_SEED = 2**41
"""Drawings begin here, away from the seeds of pre-training."""
_TALLEST = 80
_SIZES_LOOKED_AT = 50


@dataclass(frozen=True)
class Untrained:
    """The general reader on the owner's images, without any label of theirs."""

    no_hints: Interval
    hinted: Interval
    hints: str
    cpu_ms: float
    reads: tuple[Read, ...]
    """With hints, in the order of the images."""


@dataclass(frozen=True)
class DefenceWorth:
    """Exact match of drawn captchas with this defence alone, and with every defence but this one."""

    defence: str
    alone: Interval
    all_but: Interval


@dataclass(frozen=True)
class Ablation:
    """Drawn captchas of the type's characters, lengths and size, read with hints."""

    plain: Interval
    everything: Interval
    worth: tuple[DefenceWorth, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class Audit:
    """All figures about one captcha; `curve` and `ablation` None where they were not asked for."""

    slug: str
    n: int
    untrained: Untrained
    curve: Curve | None
    ablation: Ablation | None

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "type": self.slug,
            "n": self.n,
            "general_reader": {
                "no_hints": self.untrained.no_hints,
                "with_hints": self.untrained.hinted,
                "hints": self.untrained.hints,
                "cpu_ms_an_answer": round(self.untrained.cpu_ms, 3),
            },
            "curve": self.curve.facts() if self.curve else None,
            "defences": asdict(self.ablation) if self.ablation else None,
        }


@dataclass(frozen=True)
class Kind:
    """What drawn captchas have in common with the owner's: characters, lengths, size."""

    alphabet: str
    lengths: tuple[int, int]
    size: tuple[int, int]
    sums: tuple[str, ...] = ()
    """Texts to write where the captcha shows sums, which random characters would not be."""

    def text(self, seed: int) -> str:
        if self.sums:
            return self.sums[seed % len(self.sums)]
        return defences.random_text(seed, self.alphabet, self.lengths)

    @property
    def constraints(self) -> Constraints:
        return Constraints(*self.lengths, alphabet=frozenset(self.alphabet))


def read_untrained(reader: Reader, examples: Sequence[Example]) -> Untrained:
    """Read every image without and with hints; in any case of letters, unless both cases occur."""
    labels = [example.label for example in examples]
    any_case, known = one_case(labels), hints(labels)
    plain = read(reader, examples, any_case=any_case)
    hinted = read(reader, examples, known, any_case=any_case)
    return Untrained(share_right(plain), share_right(hinted), str(known), median_cpu_ms(plain), tuple(hinted))


def kind_of(examples: Sequence[Example]) -> Kind:
    """The kind of captcha these images are; characters that the general reader cannot write are left out."""
    labels = [example.label for example in examples]
    used = set("".join(labels)) & set(GENERAL_ALPHABET.characters)
    lengths = [len(label) for label in labels]
    sizes = [open_image(e.path.read_bytes()).size for e in examples[:_SIZES_LOOKED_AT]]
    width, height = (round(median(size[axis] for size in sizes)) for axis in (0, 1))
    if height > _TALLEST:
        width, height = round(width * _TALLEST / height), _TALLEST
    size = (max(24, width), max(16, height))
    sums = tuple(labels) if all(map(_is_sum, labels)) else ()
    return Kind("".join(sorted(used)), (min(lengths), max(lengths)), size, sums)


def ablate(
    reader: Reader,
    kind: Kind,
    *,
    n: int,
    results: Results,
    progress: Progress = lambda share, line: None,
) -> Ablation:
    """Draw and read `n` captchas under each set of defences; each finished set is kept in `results`.

    Raises NoFonts where there is nothing to draw with, OSError where nothing can be written, ValueError where
    the general reader knows no character of the kind.
    """
    if not kind.alphabet:
        raise ValueError("the general reader knows none of the labels' characters: leave the drawing out")
    everything = frozenset(defences.DEFENCES)
    sets: dict[str, frozenset[str]] = {"plain": frozenset(), "all": everything}
    sets |= {f"only-{name}": frozenset({name}) for name in everything}
    sets |= {f"all-but-{name}": everything - {name} for name in everything}
    right: dict[str, Interval] = {}
    for number, (name, active) in enumerate(sorted(sets.items())):
        kept = f"drawn-{n}-{name}"
        known = results.get(kept)
        if known is None:
            known = interval(_read_drawn(reader, kind, n, active), n)
            results.put(kept, known)
        right[name] = known
        progress((number + 1) / len(sets), f"drawn captchas, {name.replace('-', ' ')}: {known['value']:.1%}")
    worth = (DefenceWorth(d, right[f"only-{d}"], right[f"all-but-{d}"]) for d in defences.DEFENCES)
    return Ablation(right["plain"], right["all"], tuple(worth), kind.size)


def drawn_example(kind: Kind, active: frozenset[str], seed: int = DRAWN_SEED) -> Image.Image:
    """One of the captchas that `ablate` reads."""
    return defences.draw(seed, kind.text(seed), kind.size, active)


def as_png(image: Image.Image, widest: int = 320) -> bytes:
    """A small PNG to show on a page."""
    if image.width > widest:
        image = image.resize((widest, max(1, round(image.height * widest / image.width))))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _read_drawn(reader: Reader, kind: Kind, n: int, active: frozenset[str]) -> int:
    constraints, any_case, right = kind.constraints, one_case(kind.alphabet), 0
    for seed in range(DRAWN_SEED, DRAWN_SEED + n):
        text = kind.text(seed)
        reading = reader.read(defences.draw(seed, text, kind.size, active), constraints)
        right += same(reading.text if reading else None, text, any_case=any_case)
    return right


def _is_sum(label: str) -> bool:
    try:
        arithmetic.answer(label)
    except arithmetic.NotArithmetic:
        return False
    return any(not character.isdigit() for character in label.rstrip("=? "))
