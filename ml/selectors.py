"""Reads of the registry that are more than a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Upper

from ml.models import (
    GENERAL_SLUG,
    TYPES_SLUG,
    CaptchaType,
    Confirmation,
    ModelVersion,
    ShadowReading,
)
from ml.recognition.metrics import describe_interval, interval, wilson_interval


@dataclass(frozen=True)
class Accuracy:
    """Exact match of a model on `n` images that it was not trained on, with its 95 % Wilson interval."""

    exact_match: float
    low: float
    high: float
    n: int
    measured_on: str = "held_out"
    """Or `validation`: the images that selected the version, so rather too high; or `drawn` captchas."""

    def __str__(self) -> str:
        share, low, high = (
            f"{value:.1%}".replace("%", " %") for value in (self.exact_match, self.low, self.high)
        )
        note = "" if self.measured_on == "held_out" else f", {self.measured_on}"
        return f"{share} ({low} to {high}, n = {self.n}{note})"


@dataclass(frozen=True)
class ShadowScore:
    """How a version does in shadow, beside the answers that were given.

    `right` and `served_right` are of the `confirmed` solves, whose right text is known. Of `reported` solves
    it is known only that the answer given was wrong; the version gave the same `repeated` times.
    """

    n: int
    agreed: int
    refused: int
    confirmed: int
    right: int
    served_right: int
    reported: int
    repeated: int

    def __str__(self) -> str:
        if not self.n:
            return "no readings yet"
        parts = [f"agrees on {describe_interval(interval(self.agreed, self.n))}"]
        if self.refused:
            parts.append(f"refuses {self.refused}")
        if self.confirmed:
            parts.append(
                f"of {self.confirmed} confirmed it reads {self.right} right "
                f"({self.served_right} were answered right)"
            )
        if self.reported:
            parts.append(f"of {self.reported} reported wrong it gave the same answer {self.repeated} times")
        return "; ".join(parts)


@dataclass(frozen=True)
class AvailableType:
    """A captcha type that its reader serves now."""

    slug: str
    title: str
    example: str
    alphabet: str
    min_length: int | None
    max_length: int | None
    case_sensitive: bool
    arithmetic: bool
    private: bool
    model_version: str
    accuracy: Accuracy | None


@dataclass(frozen=True)
class ServingModel:
    """A model that reads for everybody now, and what it is for."""

    slug: str
    name: str
    title: str
    accuracy: Accuracy | None


TITLES = {GENERAL_SLUG: "Captchas of no known type", TYPES_SLUG: "Tells the types apart"}
"""Of the models that belong to no captcha type."""


def visible_types(user_id: int | None) -> QuerySet[CaptchaType]:
    """The public types and the user's own."""
    mine = Q(owner__isnull=True)
    if user_id is not None:
        mine |= Q(owner_id=user_id)
    return CaptchaType.objects.filter(mine)


def available_types(user_id: int | None = None) -> list[AvailableType]:
    """The types that `user_id` (None: anybody) may have read now, by slug: one query."""
    serving = (
        ModelVersion.objects.filter(
            state=ModelVersion.State.SERVING,
            captcha_type__active=True,
            captcha_type__in=visible_types(user_id),
        )
        .select_related("captcha_type")
        .order_by("slug")
    )
    return [_available(version, version.captcha_type) for version in serving if version.captcha_type]


def serving_models(user_id: int | None = None) -> list[ServingModel]:
    """What serves `user_id` (None: anybody), the general reader and the type model included: one query."""
    serving = ModelVersion.objects.filter(state=ModelVersion.State.SERVING).select_related("captcha_type")
    theirs = Q(captcha_type__isnull=True) | Q(
        captcha_type__active=True, captcha_type__in=visible_types(user_id)
    )
    return [
        ServingModel(
            slug=version.slug,
            name=str(version),
            title=version.captcha_type.title if version.captcha_type else TITLES[version.slug],
            accuracy=accuracy_of(version.metrics),
        )
        for version in serving.filter(theirs).order_by(F("captcha_type").asc(nulls_last=True), "slug")
    ]


def accuracy_of(metrics: Mapping[str, Any]) -> Accuracy | None:
    """The exact match that a spec's metrics state; None when they state none.

    Figures of the held-out images come first, then those of the validation images, which selected the model,
    then, for the general reader, those of drawn captchas.
    A reader states one share (`metrics.Summary`), a type model one for each type; these are added up.
    """
    for part in ("held_out", "validation", "drawn"):
        figures = metrics.get(part)
        if not isinstance(figures, Mapping):
            continue
        if "exact_match" in figures:
            shares = [figures["exact_match"]]
        else:
            shares = [
                share for share in figures.values() if isinstance(share, Mapping) and "correct" in share
            ]
        n = sum(share["n"] for share in shares)
        if n:
            correct = sum(share["correct"] for share in shares)
            low, high = wilson_interval(correct, n)
            return Accuracy(exact_match=correct / n, low=low, high=high, n=n, measured_on=part)
    return None


def shadow_score(version: ModelVersion) -> ShadowScore:
    """How often a version in shadow agrees with the answers given and, where known, is right: one query.

    A confirmed text may be what is written on the image or, for sums, its value; case counts where the
    version's spec says so.
    """
    known = Confirmation.objects.filter(reference=OuterRef("reference"))
    any_case = not version.spec.get("case_sensitive", True)

    def matches(told: QuerySet[Confirmation], text: str, answer: str) -> Exists:
        if any_case:
            told = told.alias(folded=Upper("text"))
            return Exists(told.filter(Q(folded=Upper(OuterRef(text))) | Q(folded=Upper(OuterRef(answer)))))
        return Exists(told.filter(Q(text=OuterRef(text)) | Q(text=OuterRef(answer))))

    confirmed, denied = known.filter(right=True), known.filter(right=False)
    marked = ShadowReading.objects.filter(version=version).annotate(
        is_confirmed=Exists(confirmed),
        is_right=matches(confirmed, "text", "answer"),
        is_served_right=matches(confirmed, "served_text", "served_answer"),
        is_reported=matches(denied, "served_text", "served_answer"),
    )
    counts = marked.aggregate(
        n=Count("pk"),
        agreed=Count("pk", filter=Q(agreed=True)),
        refused=Count("pk", filter=Q(text="")),
        confirmed=Count("pk", filter=Q(is_confirmed=True)),
        right=Count("pk", filter=Q(is_right=True)),
        served_right=Count("pk", filter=Q(is_served_right=True)),
        reported=Count("pk", filter=Q(is_reported=True)),
        repeated=Count("pk", filter=Q(is_reported=True, answer=F("served_answer"))),
    )
    return ShadowScore(**counts)


def _available(version: ModelVersion, captcha_type: CaptchaType) -> AvailableType:
    return AvailableType(
        slug=captcha_type.slug,
        title=captcha_type.title,
        example=captcha_type.example,
        alphabet=captcha_type.alphabet,
        min_length=captcha_type.min_length,
        max_length=captcha_type.max_length,
        case_sensitive=captcha_type.case_sensitive,
        arithmetic=captcha_type.arithmetic,
        private=captcha_type.owner_id is not None,
        model_version=str(version),
        accuracy=accuracy_of(version.metrics),
    )


def serving_versions() -> list[tuple[str, int]]:
    """(slug, version) of what serves."""
    serving = ModelVersion.objects.filter(state=ModelVersion.State.SERVING)
    return list(serving.order_by("slug").values_list("slug", "version"))


def load_errors() -> list[str]:
    """The serving versions that some process could not load when it last tried, as SLUG/VERSION."""
    failed = ModelVersion.objects.filter(state=ModelVersion.State.SERVING).exclude(load_error="")
    return [str(version) for version in failed.order_by("slug")]
