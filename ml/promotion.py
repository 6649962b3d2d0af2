"""What promoting a version takes along, what speaks for it, and what against it."""

from dataclasses import dataclass

from django.db.models import QuerySet

from ml.gate import judge
from ml.models import GENERAL_SLUG, TYPES_SLUG, ModelVersion


@dataclass(frozen=True)
class Plan:
    """`versions` go together, the one asked for first; `objections` and `grounds` are one line each.

    Among the grounds is what is worth knowing and no reason against it.
    """

    versions: list[ModelVersion]
    objections: list[str]
    grounds: list[str]


def plan_promotion(version: ModelVersion) -> Plan:
    """The versions that `version` must be promoted with, and the reasons not to."""
    serving = {v.slug: v for v in ModelVersion.objects.filter(state=ModelVersion.State.SERVING)}
    objections: list[str] = []
    grounds: list[str] = []
    notes: list[str] = []
    companions: list[ModelVersion] = []
    if version.slug == TYPES_SLUG:
        companions, missing = _readers_for(version, serving)
        objections += missing
    elif version.slug != GENERAL_SLUG:
        companions, notes = _type_model_for(version, serving.get(TYPES_SLUG))
    for each in (version, *companions):
        verdict = judge(each, serving.get(each.slug))
        (grounds if verdict.passed else objections).append(verdict.line)
    return Plan([version, *companions], objections, grounds + notes)


def known_types(version: ModelVersion | None) -> set[str]:
    """The slugs that a type model tells apart."""
    return set(version.spec.get("labels", [])) - {"other"} if version is not None else set()


def _type_model_for(
    reader: ModelVersion, serving: ModelVersion | None
) -> tuple[list[ModelVersion], list[str]]:
    """The type model that goes along, and what callers have to know where there is none."""
    if reader.slug in known_types(serving):
        return [], []
    needed = known_types(serving) | {reader.slug}
    for candidate in _newest_first(TYPES_SLUG):
        if needed <= known_types(candidate):
            return [candidate], []
    if reader.captcha_type is not None and reader.captcha_type.owner_id is not None:
        return [], []  # its owner names a private type with each call
    return [], [f"note: no type model knows {reader.slug}: it reads only where a caller names the type"]


def _readers_for(
    types: ModelVersion, serving: dict[str, ModelVersion]
) -> tuple[list[ModelVersion], list[str]]:
    readers, objections = [], []
    for slug in sorted(known_types(types) - set(serving)):
        newest = _newest_first(slug).first()
        if newest is not None:
            readers.append(newest)
        else:
            objections.append(f"there is no reader for {slug}, which it knows")
    lost = (known_types(serving.get(TYPES_SLUG)) & set(serving)) - known_types(types)
    objections += [f"it does not know {slug}, whose reader serves" for slug in sorted(lost)]
    return readers, objections


def _newest_first(slug: str) -> QuerySet[ModelVersion]:
    candidates = ModelVersion.objects.filter(slug=slug, state=ModelVersion.State.CANDIDATE)
    return candidates.select_related("captcha_type").order_by("-version")
