"""How well a version reads images that it was not trained on.

Models are asked as serving asks them. An image that is not read counts as wrong, and every share comes with
its n and its 95 % Wilson interval.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.recognition.arithmetic import NotArithmetic, answer
from ml.recognition.artifacts import OTHER
from ml.recognition.datasets import Example
from ml.recognition.decoding import Constraints
from ml.recognition.images import ImageError, fit, open_image
from ml.recognition.metrics import Interval, interval, summarize
from ml.recognition.pipeline import GENERAL, Recognizer, Unsolvable
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.synthesis import generator, negatives

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
"""Wraps an iterable of so many items in a progress bar."""

REJECTION_SEED = 2**50
"""Pictures of the rejection test are drawn from seeds on from here; training draws from lower ones."""
OTHER_CAPTCHAS = "other captcha"
OTHER_CAPTCHAS_IN_TEN = 3


@dataclass(frozen=True)
class Outcome:
    """What a reader made of one labelled image; `text` None: it gave none."""

    example: Example
    truth: str
    text: str | None
    confidence: float


def untrained(examples: Sequence[Example], trained_on: frozenset[str]) -> list[Example]:
    """The examples whose bytes a version has not seen in training or selection."""
    return [example for example in examples if example.data_hash not in trained_on]


def hints_of(examples: Sequence[Example]) -> Constraints:
    """Alphabet and lengths of the labels: what a caller who knows the type could say."""
    lengths = [len(example.label) for example in examples]
    alphabet = frozenset("".join(example.label for example in examples))
    return Constraints(min_length=min(lengths), max_length=max(lengths), alphabet=alphabet)


def read_examples(
    reader: Reader, examples: Iterable[Example], constraints: Constraints | None = None
) -> Iterator[Outcome]:
    """What `reader` makes of each image, whatever its confidence."""
    if constraints is None or reader.spec.arithmetic:
        constraints = Constraints(math=reader.spec.arithmetic)
    for example in examples:
        truth = example.label if reader.spec.case_sensitive else example.label.upper()
        try:
            reading = reader.read(open_image(example.path.read_bytes()), constraints)
        except ImageError:
            reading = None
        text, confidence = (reading.text, reading.confidence) if reading else (None, 0.0)
        yield Outcome(example, truth, text, confidence)


def reader_figures(
    outcomes: Sequence[Outcome], *, arithmetic: bool, min_confidence: float = 0.0
) -> dict[str, Any]:
    """metrics.summarize and, beside it, what serving would have answered at `min_confidence`."""
    figures: dict[str, Any] = dict(summarize((o.truth, o.text, o.confidence) for o in outcomes))
    if arithmetic:
        figures["value_right"] = _share(same_value(o.text, o.truth) for o in outcomes)
    answered = [o for o in outcomes if o.text and o.confidence >= min_confidence]
    figures["served"] = {
        "min_confidence": min_confidence,
        "answered": interval(len(answered), len(outcomes)),
        "answered_right": _share(o.text == o.truth for o in answered),
    }
    figures["wrong"] = [
        {"image": o.example.path.name, "read": o.text, "confidence": round(o.confidence, 4)}
        for o in outcomes
        if o.text != o.truth
    ]
    return figures


def decide_examples(
    classifier: TypeClassifier, folders: Mapping[str, Sequence[Example]], progress: Progress
) -> dict[str, Any]:
    """Type decisions over labelled folders; the name of a folder that the model does not know means other."""
    known = set(classifier.spec.labels) - {OTHER}
    decisions: dict[str, Counter[str]] = {name: Counter() for name in folders}
    work = [(name, example) for name, examples in folders.items() for example in examples]
    for name, example in progress(work, len(work)):
        decisions[name][decide(classifier, example)[0]] += 1
    return decision_figures(decisions, known)


def decision_figures(decisions: Mapping[str, Counter[str]], known: set[str]) -> dict[str, Any]:
    """Shares of right decisions, for all and for each folder, and what each folder was taken for."""
    right = {name: counts[name if name in known else OTHER] for name, counts in decisions.items()}
    n = {name: sum(counts.values()) for name, counts in decisions.items()}
    return {
        "n": sum(n.values()),
        "exact_match": interval(sum(right.values()), sum(n.values())),
        "folders": {
            name: {
                "truth": name if name in known else OTHER,
                "exact_match": interval(right[name], n[name]),
                "taken_for": dict(counts.most_common()),
            }
            for name, counts in decisions.items()
        },
    }


def rejection_figures(recognizer: Recognizer, *, n: int, seed: int, progress: Progress) -> dict[str, Any]:
    """How `n` drawn pictures of no known type fare: taken for a type, or, if no captcha, answered at all."""
    taken: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for index in progress(range(n), n):
        data, kind = _unknown_picture(seed, index)
        counts[kind] += 1
        taken[kind] += _taken_for_a_type(recognizer, data)
        answered[kind] += _general_reader_answers(recognizer, data)
    empty = [kind for kind in counts if kind != OTHER_CAPTCHAS]
    return {
        "seed": seed,
        "n": n,
        "taken_for_a_type": interval(sum(taken.values()), n),
        "no_captcha_answered": interval(
            sum(answered[kind] for kind in empty), sum(counts[kind] for kind in empty)
        ),
        "kinds": {
            kind: {"n": counts[kind], "taken_for_a_type": taken[kind], "general_answered": answered[kind]}
            for kind in sorted(counts)
        },
    }


def _unknown_picture(seed: int, index: int) -> tuple[bytes, str]:
    """A PNG of no known type, and its kind."""
    own_seed = REJECTION_SEED + seed * 2**20 + index
    if index % 10 < OTHER_CAPTCHAS_IN_TEN:
        picture, kind = generator.draw(own_seed, "mixed").image, OTHER_CAPTCHAS
    else:
        picture, kind = negatives.draw(own_seed)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue(), kind


def _taken_for_a_type(recognizer: Recognizer, data: bytes) -> bool:
    if recognizer.types is None:
        return False
    prepared = fit(open_image(data), recognizer.types.spec.input)
    return recognizer.types.classify(prepared).slug is not None


def _general_reader_answers(recognizer: Recognizer, data: bytes) -> bool:
    try:
        recognizer.recognize(data, captcha_type=GENERAL)
    except Unsolvable:
        return False
    return True


def decide(classifier: TypeClassifier, example: Example) -> tuple[str, float]:
    """The type that an image is taken for, OTHER or `unreadable`, and the confidence in it."""
    try:
        picture = open_image(example.path.read_bytes())
    except ImageError:
        return "unreadable", 0.0
    decision = classifier.classify(fit(picture, classifier.spec.input))
    return decision.slug or OTHER, decision.confidence


def same_value(read: str | None, truth: str) -> bool:
    """Whether two sums have one value."""
    try:
        return answer(read or "") == answer(truth)
    except NotArithmetic:
        return False


def _share(right: Iterable[bool]) -> Interval:
    flags = list(right)
    return interval(sum(flags), len(flags))
