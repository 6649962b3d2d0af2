"""Two versions on the same images, from what was stored of both: who is better, and where they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from ml.models import Evaluation, JudgedImage, ModelVersion

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """One image that the two read otherwise."""

    data_hash: str
    truth: str
    one: JudgedImage
    other: JudgedImage

    @property
    def both(self) -> tuple[JudgedImage, JudgedImage]:
        return self.one, self.other


@dataclass(frozen=True)
class SideBySide:
    """Images right for both, for one of the two alone, for neither; and those that they read otherwise."""

    one: Evaluation
    other: Evaluation
    both: int
    one_alone: int
    other_alone: int
    neither: int
    differences: tuple[Difference, ...]

    @property
    def p_value(self) -> float:
        return sign_test(self.one_alone, self.other_alone)

    @property
    def verdict(self) -> str:
        """Who is better, in a sentence that says what it rests on."""
        one, other = self.one.version, self.other.version
        if not self.one_alone and not self.other_alone:
            return f"No difference: whatever {one} reads right, {other} reads right too, and the other way."
        better, more, fewer = one, self.one_alone, self.other_alone
        if self.other_alone > self.one_alone:
            better, more, fewer = other, self.other_alone, self.one_alone
        counts = f"of the images that one alone reads right, {more} are its and {fewer} the other's"
        if more == fewer:
            return f"Neither is better: each alone reads {more} images right that the other does not."
        if self.p_value < SIGNIFICANT:
            return f"{better} is better: {counts} (p = {self.p_value:.2g})."
        return (
            f"{better} did better, but chance may have done it: {counts} (p = {self.p_value:.2g}). "
            "More images would tell."
        )


def sign_test(one: int, other: int) -> float:
    """How probable at least so uneven a split is where both are equally good (McNemar's test, exact)."""
    n = one + other
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(one, other) + 1))
    return min(1.0, 2 * tail / 2**n)


def evaluations_of_both(one: ModelVersion, other: ModelVersion) -> list[tuple[Evaluation, Evaluation]]:
    """Both versions' evaluations on each data set of which the images of both are stored, newest first."""
    stored = Evaluation.objects.filter(Exists(JudgedImage.objects.filter(evaluation=OuterRef("pk"))))
    theirs = {(e.dataset_hash, e.split): e for e in stored.filter(version=other).select_related("version")}
    mine = stored.filter(version=one).select_related("version").order_by("-created", "-id")
    return [(e, theirs[e.dataset_hash, e.split]) for e in mine if (e.dataset_hash, e.split) in theirs]


def side_by_side(one: Evaluation, other: Evaluation) -> SideBySide:
    """Image by image; both are evaluations on one data set."""
    pairs = _pairs(list(one.images.all()), list(other.images.all()))
    return SideBySide(
        one=one,
        other=other,
        both=sum(a.right and b.right for a, b in pairs),
        one_alone=sum(a.right and not b.right for a, b in pairs),
        other_alone=sum(b.right and not a.right for a, b in pairs),
        neither=sum(not a.right and not b.right for a, b in pairs),
        differences=tuple(
            Difference(a.data_hash, a.truth, a, b)
            for a, b in sorted(pairs, key=lambda pair: (pair[0].right == pair[1].right, pair[0].truth))
            if a.read != b.read
        ),
    )


def _pairs(one: Sequence[JudgedImage], other: Sequence[JudgedImage]) -> list[tuple[JudgedImage, JudgedImage]]:
    """An image that a data set has twice is judged alike both times and counts twice."""
    theirs = {(image.data_hash, image.truth): image for image in other}
    return [(mine, theirs[key]) for mine in one if (key := (mine.data_hash, mine.truth)) in theirs]
