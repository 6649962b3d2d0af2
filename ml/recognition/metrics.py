"""How well a model reads. A picture without an answer counts as read wrong, and n is always given."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

Z_95 = 1.959963984540054
ECE_BINS = 15
COVERAGE = 0.95
WANTED = (0.95, 0.98, 0.99, 0.995, 0.999)
"""Accuracies for which the least confidence is worked out."""

Pair = tuple[str, str | None]
"""Truth, and what was read (None: nothing)."""


class Interval(TypedDict):
    """A share with its 95 % Wilson interval."""

    correct: int
    n: int
    value: float
    low: float
    high: float


class Confusion(TypedDict):
    """`count` times `read` stood for `truth`; empty: a character made up, or left out."""

    truth: str
    read: str
    count: int


class Accepted(TypedDict):
    """What is left when the least confident 5 % are refused."""

    threshold: float
    exact_match: Interval


class Threshold(TypedDict):
    """A least confidence, the share of images that reach it, and how many of these are read right."""

    confidence: float
    answered: float
    right: Interval


class Summary(TypedDict):
    """The figures of one evaluation."""

    n: int
    failures: int
    exact_match: Interval
    exact_match_ignore_case: Interval
    cer: float
    ece: float
    accepted_at_95: Accepted
    confusions: list[Confusion]


def wilson_interval(k: int, n: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share of `k` in `n` (Wilson 1927); (0, 1) when `n` is 0."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share, square = k / n, Z_95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    # Exact at the ends, where rounding would leave 0.9999….
    return (0.0 if k == 0 else centre - half), (1.0 if k == n else centre + half)


def interval(k: int, n: int) -> Interval:
    """The share of `k` in `n` with its 95 % interval."""
    low, high = wilson_interval(k, n)
    return Interval(correct=k, n=n, value=k / n if n else 0.0, low=low, high=high)


def cer(pairs: Iterable[Pair]) -> float:
    """Character error rate: edits that turn what was read into the truth, per character of truth."""
    pairs = list(pairs)
    characters = sum(len(truth) for truth, _ in pairs)
    edits = sum(len(_edits(truth, read or "")) for truth, read in pairs)
    return edits / characters if characters else 0.0


def expected_calibration_error(correct: Sequence[bool], confidences: Sequence[float]) -> float:
    """Mean gap between confidence and accuracy over 15 bins of equal width (Guo et al. 2017)."""
    bins: list[list[tuple[bool, float]]] = [[] for _ in range(ECE_BINS)]
    for right, confidence in zip(correct, confidences, strict=True):
        bins[min(int(confidence * ECE_BINS), ECE_BINS - 1)].append((right, confidence))
    gaps = (abs(sum(right for right, _ in bin_) - sum(c for _, c in bin_)) for bin_ in bins)
    return sum(gaps) / len(correct) if correct else 0.0


def summarize(readings: Iterable[tuple[str, str | None, float]]) -> Summary:
    """The figures over (truth, read or None, confidence); None counts as wrong with confidence 0."""
    rows = [(truth, read, 0.0 if read is None else confidence) for truth, read, confidence in readings]
    n = len(rows)
    correct = [truth == read for truth, read, _ in rows]
    ignoring_case = sum(read is not None and truth.casefold() == read.casefold() for truth, read, _ in rows)
    pairs = [(truth, read) for truth, read, _ in rows]
    return Summary(
        n=n,
        failures=sum(read is None for _, read in pairs),
        exact_match=interval(sum(correct), n),
        exact_match_ignore_case=interval(ignoring_case, n),
        cer=cer(pairs),
        ece=expected_calibration_error(correct, [confidence for _, _, confidence in rows]),
        accepted_at_95=_accepted([confidence for _, _, confidence in rows], correct),
        confusions=confusions(pairs),
    )


def confusions(pairs: Iterable[Pair]) -> list[Confusion]:
    """Which characters were taken for which, most frequent first; what was not read at all is left out."""
    counts = Counter(edit for truth, read in pairs if read is not None for edit in _edits(truth, read))
    return [
        Confusion(truth=truth, read=read, count=count)
        for (truth, read), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]


def thresholds(readings: Iterable[tuple[str, str | None, float]]) -> dict[str, Threshold | None]:
    """For each of WANTED, the least confidence from which on so many of the answers are right.

    None where not even the surest answers are. As few images prove little, each comes with what it answered.
    """
    rows = sorted(((confidence, truth == read) for truth, read, confidence in readings), reverse=True)
    found: dict[str, Threshold | None] = {}
    for wanted in WANTED:
        right, best = 0, None
        for count, (confidence, correct) in enumerate(rows, start=1):
            right += correct
            # Equal confidences are accepted together.
            last = count == len(rows) or rows[count][0] < confidence
            if last and right >= wanted * count:
                best = Threshold(
                    confidence=confidence, answered=count / len(rows), right=interval(right, count)
                )
        found[str(wanted)] = best
    return found


def describe(summary: Summary) -> str:
    """The figures in lines to print, n first."""
    accepted = summary["accepted_at_95"]
    lines = [
        f"n                        {summary['n']} ({summary['failures']} unanswered, counted as wrong)",
        f"exact match              {describe_interval(summary['exact_match'])}",
        f"exact match, any case    {describe_interval(summary['exact_match_ignore_case'])}",
        f"character error rate     {summary['cer']:.4f}",
        f"calibration error (ECE)  {summary['ece']:.4f}",
        f"the surest 95 %          {describe_interval(accepted['exact_match'])} "
        f"(confidence from {accepted['threshold']:.3f})",
    ]
    most = ", ".join(
        f"{c['truth'] or '∅'}→{c['read'] or '∅'} ×{c['count']}" for c in summary["confusions"][:10]
    )
    return "\n".join([*lines, f"confusions               {most or 'none'}"])


def describe_interval(share: Interval) -> str:
    """``99.62 % (786 of 789, 95 % interval 98.89 to 99.87)``."""
    share_of = f"{share['correct']} of {share['n']}"
    bounds = f"{share['low'] * 100:.2f} to {share['high'] * 100:.2f}"
    return f"{share['value'] * 100:.2f} % ({share_of}, 95 % interval {bounds})"


def _accepted(confidences: Sequence[float], correct: Sequence[bool]) -> Accepted:
    """Refuse as many of the least confident as 5 % allow; equal confidences are accepted together."""
    order = sorted(confidences, reverse=True)
    threshold = order[math.ceil(COVERAGE * len(order)) - 1] if order else 0.0
    kept = [right for right, confidence in zip(correct, confidences, strict=True) if confidence >= threshold]
    return Accepted(threshold=threshold, exact_match=interval(sum(kept), len(kept)))


def _edits(truth: str, read: str) -> list[tuple[str, str]]:
    """A shortest list of edits (Levenshtein) as (character of truth, character read), "" for none."""
    rows = [list(range(len(read) + 1))]
    for i, wanted in enumerate(truth, start=1):
        above, row = rows[-1], [i]
        for j, got in enumerate(read, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (wanted != got)))
        rows.append(row)
    edits = []
    i, j = len(truth), len(read)
    while i or j:
        if i and j and rows[i][j] == rows[i - 1][j - 1] + (truth[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            if truth[i] != read[j]:
                edits.append((truth[i], read[j]))
        elif i and rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
            edits.append((truth[i], ""))
        else:
            j -= 1
            edits.append(("", read[j]))
    return edits[::-1]
