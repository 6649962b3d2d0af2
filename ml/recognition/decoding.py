"""From a network's logits to text with confidence, in NumPy.

Greedy decoding takes the best class of every frame. Where its text breaks a constraint, a Viterbi search
finds the best path whose text obeys them all. The confidence of a text is its exact CTC probability, the
sum over all of its paths (Graves et al. 2006, section 4.1), of logits divided by the temperature that
calibrates them (Guo et al. 2017). Where constraints leave characters out, it is the probability given that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from ml.recognition import arithmetic, issuers, viterbi
from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.constraints import NUMERIC, Constraints

__all__ = [
    "NUMERIC",
    "CharacterReading",
    "Constraints",
    "Reading",
    "collapse",
    "constrained_decode",
    "greedy_decode",
    "joint_decode",
    "log_softmax",
    "text_probability",
]

Scores = NDArray[np.floating]
_UNLIKELY = 1e-12
"""Least probability that one look may give to what the others see."""
_AGREEMENT = 0.5
"""Exponent of the power mean over looks. Towards 0 one look that sees nothing vetoes what all others see
(the geometric mean); at 1 one look that is sure overrules them (the arithmetic one)."""
NEGLIGIBLE = 1e-9
"""Probability that a text's confidence may neglect."""
_DIGIT, _LETTER = 1, 2


@dataclass(frozen=True, slots=True)
class CharacterReading:
    """One character and the highest posterior that a frame of its run gives it."""

    char: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A text, the probability that it is the whole text, and its characters."""

    text: str
    confidence: float
    characters: tuple[CharacterReading, ...]


def log_softmax(logits: Scores, temperature: float = 1.0) -> Scores:
    """Log-probabilities of the last axis of `logits` / `temperature`, in their type."""
    scaled = logits / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    scaled -= np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return scaled


def greedy_decode(logits: Scores, alphabet: Alphabet, temperature: float = 1.0) -> Reading:
    """The text of the best class of each frame.

    Args:
        logits: (frames, alphabet.size) floats.
    """
    return _reading(logits, logits.argmax(axis=1).tolist(), alphabet, temperature, None)


def constrained_decode(
    logits: Scores, alphabet: Alphabet, constraints: Constraints, temperature: float = 1.0
) -> Reading | None:
    """The text of the best path that obeys `constraints`; None when none is plausible.

    With `constraints.math` the text is a sum, of any length; what its value has to obey is up to the caller.

    Args:
        logits: (frames, alphabet.size) floats.
    """
    plan = _plan(alphabet, constraints)
    path: list[int] | None = logits.argmax(axis=1).tolist()
    # The best path of all is the best that obeys the constraints, when it does obey them.
    if not plan.obeyed_by(alphabet.decode(collapse(path or []))):
        path = viterbi.best_path(logits / temperature, plan.search)
    return None if path is None else _reading(logits, path, alphabet, temperature, plan.columns)


def joint_decode(
    looks: Sequence[Scores], alphabet: Alphabet, constraints: Constraints, *, expectation: float = 0.0
) -> Reading | None:
    """The text that several looks at one picture make likeliest together; None when none is plausible.

    Each look proposes its best text, and its best within each of the issuers' alphabets. Of these wins the
    one of the highest logarithm of the looks' probabilities in a power mean, to which `expectation` times
    `issuers.surprise` is added where the constraints leave all characters open. The confidence is the
    probability that the surer half of the looks gives to all proposals on average, shared out by that sum:
    a look that shows the picture at a scale the network cannot read tells nothing against the others.

    Args:
        looks: (frames, alphabet.size) floats each, divided by the temperature.
    """
    plan = _plan(alphabet, constraints)
    proposals: dict[tuple[int, ...], tuple[Scores, list[int]]] = {}
    for logits in looks:
        for path in _proposed(logits, alphabet, plan):
            proposals.setdefault(tuple(collapse(path)), (logits, path))
    if not proposals:
        return None
    posteriors = [_posteriors(logits, plan.columns) for logits in looks]
    weight = expectation if plan.columns is None else 0.0
    seen = text_probabilities(posteriors, list(proposals)).clip(_UNLIKELY)
    scores = np.log((seen**_AGREEMENT).mean(axis=0)) / _AGREEMENT
    if weight:
        scores += [
            weight * issuers.surprise(alphabet.decode(labels)) if labels else 0.0 for labels in proposals
        ]
    best = int(scores.argmax())
    logits, path = list(proposals.values())[best]
    share = 1 / np.exp(scores - scores[best]).sum()
    surer = np.sort(seen.sum(axis=1))[len(looks) // 2 :]
    confidence = min(1.0, float(share * surer.mean()))
    return replace(_reading(logits, path, alphabet, 1.0, plan.columns), confidence=confidence)


def _proposed(logits: Scores, alphabet: Alphabet, plan: _Plan) -> Iterator[list[int]]:
    """Paths of the best text that obeys the plan, and of the best within each issuers' alphabet that does."""
    path: list[int] | None = logits.argmax(axis=1).tolist()
    if not plan.obeyed_by(alphabet.decode(collapse(path or []))):
        path = viterbi.best_path(logits, plan.search)
    if path is not None:
        yield path
    if plan.columns is not None:
        return
    # (alphabets, frames): the best class of each frame among those of each alphabet.
    within = np.where(_issuers_masks(alphabet)[:, None], logits[None], -np.inf).argmax(axis=2)
    for narrowed in dict.fromkeys(map(tuple, within.tolist())):
        if plan.obeyed_by(alphabet.decode(collapse(narrowed))):
            yield list(narrowed)


@lru_cache(maxsize=64)
def _issuers_masks(alphabet: Alphabet) -> NDArray[np.bool_]:
    """(alphabets, alphabet.size): the classes that each of the issuers' alphabets leaves."""
    return np.stack([alphabet.mask(characters) for characters in issuers.alphabets()])


def collapse(path: Sequence[int]) -> list[int]:
    """The classes of a CTC path with repeats merged and blanks left out."""
    return [index for index, _ in groupby(path) if index != BLANK]


def text_probability(probabilities: Scores, labels: Sequence[int]) -> float:
    """Probability of a text, summed over all CTC paths that collapse to it, to about 1e-8.

    Args:
        probabilities: (frames, classes), each frame summing to 1.
        labels: its classes, without blanks.
    """
    if not labels:
        return float(probabilities[:, BLANK].prod(dtype=np.float64))
    # Plain floats: at this size they take a third of the time of NumPy's calls.
    return _forward(probabilities.take([*labels, BLANK], axis=1).tolist(), labels)


def text_probabilities(looks: Sequence[Scores], texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """`text_probability` of each text under each look, all in one recursion: (looks, texts).

    Args:
        looks: (frames, classes) each, of any number of frames.
    """
    frames, most = max(map(len, looks)), max(map(len, texts))
    # Past a look's end only blanks follow, surely, which leaves the sums as they are.
    ended = np.zeros((frames, len(looks), looks[0].shape[1]))
    ended[..., BLANK] = 1
    for number, rows in enumerate(looks):
        ended[: len(rows), number] = rows
    labels = np.full((len(texts), most + 1), -1)
    for number, text in enumerate(texts):
        labels[number, : len(text)] = text
    labels = labels[:, :-1]
    emitted = np.where(labels >= 0, ended[:, :, labels], 0.0)
    blank = ended[:, :, BLANK, None, None]
    # Only a different character may follow without a blank between.
    direct = (labels[:, 1:] != labels[:, :-1]).astype(float)
    # As in `_forward`: `ends_blank[…, i]` has seen `i` characters and stands on a blank.
    ends_blank = np.zeros((len(looks), len(texts), most + 1))
    ends_blank[..., 0] = 1
    ends_character = np.zeros((len(looks), len(texts), most))
    for frame in range(frames):
        stands = ends_character + ends_blank[..., :-1]
        stands[..., 1:] += direct * ends_character[..., :-1]
        ends_blank[..., 1:] += ends_character
        ends_blank *= blank[frame]
        ends_character = stands * emitted[frame]
    # What stands on the last character counts as followed by a blank.
    ends_blank[..., 1:] += ends_character
    lengths = np.array([len(text) for text in texts])
    totals: NDArray[np.float64] = ends_blank[:, np.arange(len(texts)), lengths]
    return totals


def _forward(rows: list[list[float]], labels: Sequence[int]) -> float:
    """CTC's forward recursion; a row has the probabilities of each label, and the blank's last.

    `ends_blank[i]` has seen `i` characters and stands on a blank. Each frame updates the states from `low`
    to `high` alone, the few that hold more than NEGLIGIBLE.
    """
    last = len(labels) - 1
    # Only a different character may follow without a blank between.
    direct = [False, *(a != b for a, b in pairwise(labels))]
    ends_blank = [1.0] + [0.0] * len(labels)
    ends_character = [0.0] * len(labels)
    low = high = 0
    for row in rows:
        p_blank = row[-1]
        if high < last and ends_character[high] > NEGLIGIBLE:
            high += 1
        # From the end, so that each state still finds its predecessors of the frame before.
        for i in range(high, low - 1, -1):
            stands = ends_character[i]
            ends_blank[i + 1] = (ends_blank[i + 1] + stands) * p_blank
            if direct[i]:
                stands += ends_character[i - 1]
            ends_character[i] = (stands + ends_blank[i]) * row[i]
        ends_blank[low] *= p_blank
        while low < high and ends_blank[low] < NEGLIGIBLE and ends_character[low] < NEGLIGIBLE:
            ends_blank[low] = ends_character[low] = 0.0
            low += 1
    return ends_blank[-1] + ends_character[-1]


def _reading(
    logits: Scores,
    path: list[int],
    alphabet: Alphabet,
    temperature: float,
    columns: NDArray[np.intp] | None,
) -> Reading:
    """The reading of a path; probabilities are taken among `columns` (all: None)."""
    probabilities = _posteriors(logits / temperature, columns)
    labels: list[int] = []
    peaks: list[float] = []
    previous = BLANK
    for frame, index in enumerate(path):
        if index != BLANK:
            probability = probabilities.item(frame, index)
            if index != previous:
                labels.append(index)
                peaks.append(probability)
            elif probability > peaks[-1]:
                peaks[-1] = probability
        previous = index
    text = alphabet.decode(labels)
    confidence = min(text_probability(probabilities, labels), 1.0)
    return Reading(text, confidence, tuple(map(CharacterReading, text, peaks)))


def _posteriors(logits: Scores, columns: NDArray[np.intp] | None) -> Scores:
    """Probabilities of the classes in each frame, given that it is one of `columns` (all: None)."""
    probabilities: Scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    among = probabilities if columns is None else probabilities[:, columns]
    probabilities /= among.sum(axis=1, keepdims=True)
    return probabilities


@dataclass(frozen=True)
class _Plan:
    """Constraints worked out for an alphabet."""

    constraints: Constraints
    search: viterbi.Search
    columns: NDArray[np.intp] | None
    """The classes that constraints leave, None for all."""

    def obeyed_by(self, text: str) -> bool:
        if self.constraints.math:
            return all(character in arithmetic.CHARACTERS for character in text)
        return self.constraints.allows(text)


@lru_cache(maxsize=256)
def _plan(alphabet: Alphabet, constraints: Constraints) -> _Plan:
    math = constraints.math
    characters = arithmetic.CHARACTERS if math else filter(constraints.allows_character, alphabet.characters)
    mask = alphabet.mask(characters)
    allowed = np.flatnonzero(mask)
    kinds = [0, *(_DIGIT if c.isdigit() else _LETTER if c.isalpha() else 0 for c in alphabet.characters)]
    search = viterbi.Search(
        allowed=allowed,
        min_length=0 if math else constraints.min_length or 0,
        max_length=None if math else constraints.max_length,
        kinds=np.array(kinds, np.intp),
        required=_DIGIT | _LETTER if constraints.numeric == "both" and not math else 0,
    )
    return _Plan(constraints, search, None if mask.all() else allowed)
