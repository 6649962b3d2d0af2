"""Reading labelled images with a reader as serving does, with the time it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time

from ml.recognition.datasets import Example
from ml.recognition.decoding import Constraints
from ml.recognition.images import ImageError, fit, open_image
from ml.recognition.metrics import Interval, interval
from ml.recognition.reader import Reader

_ANYTHING = Constraints()


@dataclass(frozen=True)
class Read:
    """What was read of one labelled image; `text` None: nothing. `cpu_ms` is from its bytes to the text."""

    example: Example
    text: str | None
    confidence: float
    cpu_ms: float
    right: bool


def read(
    reader: Reader, examples: Iterable[Example], constraints: Constraints = _ANYTHING, *, any_case: bool
) -> list[Read]:
    """Every image read, whatever the confidence; one that does not open counts as wrong."""
    if reader.spec.arithmetic:
        constraints = Constraints(math=True)
    outcomes = []
    for example in examples:
        data = example.path.read_bytes()
        began = process_time()
        try:
            image = open_image(data)
            reading = reader.read(image, constraints, fit(image, reader.spec.input))
        except ImageError:
            reading = None
        spent = (process_time() - began) * 1000
        text = reading.text if reading else None
        confidence = reading.confidence if reading else 0.0
        outcomes.append(Read(example, text, confidence, spent, same(text, example.label, any_case=any_case)))
    return outcomes


def same(text: str | None, label: str, *, any_case: bool) -> bool:
    """Whether the text is the label."""
    if text is None:
        return False
    return text.upper() == label.upper() if any_case else text == label


def share_right(outcomes: Sequence[Read]) -> Interval:
    return interval(sum(outcome.right for outcome in outcomes), len(outcomes))


def median_cpu_ms(outcomes: Sequence[Read]) -> float:
    """The median without the first few, which warm the caches up."""
    times = [outcome.cpu_ms for outcome in outcomes]
    return median(times[5:] or times) if times else 0.0


def hints(labels: Sequence[str]) -> Constraints:
    """What somebody knows who has looked at the captcha: its characters and lengths."""
    lengths = [len(label) for label in labels]
    return Constraints(min(lengths), max(lengths), alphabet=frozenset("".join(labels)))


def one_case(labels: Iterable[str]) -> bool:
    """Whether the labels leave the case of letters open: all capitals, all small, or no letters."""
    characters = set("".join(labels))
    return not (any(c.islower() for c in characters) and any(c.isupper() for c in characters))
