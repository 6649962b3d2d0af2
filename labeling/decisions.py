"""When the labels of an image settle its text. Plain functions over what was said; nothing is stored here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from labeling.models import Label, Sample, Split

SURE_ENOUGH = 0.4
"""Confidence from which a prediction prefills the field, and from which its contradiction is heard."""


@dataclass(frozen=True)
class Decision:
    """What becomes of a sample; `trusted`: sure enough to measure people by."""

    status: str
    text: str = ""
    trusted: bool = False


def decide(
    labels: Sequence[tuple[str, str]],
    *,
    split: str,
    prediction: str = "",
    confidence: float | None = None,
    alone: bool = False,
) -> Decision:
    """The decision on the (kind, text) of one round's labels, one of each person, skips left out.

    A test image needs two people who agree. A training image needs one, unless a reader that is sure enough
    reads something else; then a second person is asked. Two who differ make a disagreement, which a third
    settles by agreeing with one of them. One flag is enough to put an image aside. `alone`: there is no
    second person to ask, so that one word settles every image.
    """
    opinions = [label for label in labels if label[0] != Label.Kind.SKIPPED]
    if any(kind == Label.Kind.FLAGGED for kind, _ in opinions):
        return Decision(Sample.Status.FLAGGED)
    if not opinions:
        return Decision(Sample.Status.OPEN)
    counted = Counter(opinions).most_common()
    (kind, text), votes = counted[0]
    if votes == 1 and len(opinions) > 1:
        return Decision(Sample.Status.DISAGREEMENT)
    if len(counted) > 1 and counted[1][1] == votes:
        return Decision(Sample.Status.DISAGREEMENT)
    if not alone and votes < _needed(text, kind, split, prediction, confidence):
        return Decision(Sample.Status.OPEN)
    if kind == Label.Kind.UNREADABLE:
        return Decision(Sample.Status.UNREADABLE)
    return Decision(Sample.Status.AGREED, text, trusted=votes > 1)


def _needed(text: str, kind: str, split: str, prediction: str, confidence: float | None) -> int:
    """How many people must say the same."""
    if split == Split.TEST:
        return 2
    contradicted = (
        kind == Label.Kind.TEXT
        and confidence is not None
        and confidence >= SURE_ENOUGH
        and text != prediction
    )
    return 2 if contradicted else 1
