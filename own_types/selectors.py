"""What the pages of a private type show: how far it is, what is missing, how well its reader reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from labeling import quotas, training
from labeling.models import Sample, Split
from ml.models import CaptchaType, Evaluation, ModelVersion
from ml.recognition.datasets import Example
from ml.recognition.label_checks import NOTE, Finding, check_labels, errors
from ml.recognition.metrics import Confusion, confusions
from ml.selectors import Accuracy, accuracy_of
from own_types.models import Training

GOOD_BEGINNING = 100
"""Labels from which on little is said of more; docs/models.md has the curve."""
CONFUSIONS = 10


@dataclass(frozen=True)
class Labels:
    """`missing`: a line for each thing; `obstacle`: what has to be there before any training, or nothing."""

    images: int
    size: int
    labelled: int
    tests: int
    waiting: int
    put_aside: int
    missing: list[str]
    obstacle: str


@dataclass(frozen=True)
class Figures:
    """How well one version reads what it has not seen; `confusions` are of the images of `confused_on`."""

    version: ModelVersion
    evaluation: Evaluation | None
    stated: Accuracy | None
    confused_on: str
    confusions: list[Confusion]


def types_of(user: Any) -> QuerySet[CaptchaType]:
    return CaptchaType.objects.filter(owner=user)


def type_for(person: Any, slug: str) -> CaptchaType | None:
    """A private type, for its owner and for staff; for everybody else there is none of the name."""
    private = CaptchaType.objects.filter(slug=slug, owner__isnull=False).select_related("owner")
    return (private if person.is_staff else private.filter(owner=person)).first()


def labels_of(captcha_type: CaptchaType) -> Labels:
    """Reads every label of the type: at most as many as a private type may hold."""
    samples = Sample.objects.filter(captcha_type=captcha_type)
    held = quotas.held_by(captcha_type)
    findings = findings_of(captcha_type)
    agreed = samples.filter(status=Sample.Status.AGREED)
    labelled, tests = agreed.count(), agreed.filter(split=Split.TEST).count()
    waiting = samples.filter(status=Sample.Status.OPEN).count()
    obstacle = str(next(iter(errors(findings)), ""))
    missing = [_sentence(str(finding)) for finding in findings if finding.level != NOTE]
    if not tests:
        missing.append("No image for the test has a text, so that the evaluation will be on few images.")
    if not obstacle and labelled < GOOD_BEGINNING:
        missing.append(f"{GOOD_BEGINNING} labels are a good beginning: {GOOD_BEGINNING - labelled} more.")
    return Labels(
        images=held.images,
        size=held.size,
        labelled=labelled,
        tests=tests,
        waiting=waiting,
        put_aside=held.images - labelled - waiting,
        missing=missing,
        obstacle=_sentence(obstacle),
    )


def findings_of(captcha_type: CaptchaType) -> list[Finding]:
    """What training will say of the labels, before anything is frozen or paid."""
    agreed = Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.AGREED)
    rows = agreed.exclude(split=Split.TEST).order_by("pk").values_list("name", "sha256", "text")
    return check_labels([Example(Path(name or sha256[:12]), sha256, text) for name, sha256, text in rows])


def needs_approval(captcha_type: CaptchaType) -> bool:
    if not settings.PRIVATE_TYPES_NEED_APPROVAL:
        return False
    return not CaptchaType.objects.filter(pk=captcha_type.pk, approval__approved__isnull=False).exists()


def last_training(captcha_type: CaptchaType) -> Training | None:
    return Training.objects.filter(captcha_type=captcha_type).select_related("run", "version").first()


def figures_of(captcha_type: CaptchaType) -> list[Figures]:
    """Of the candidate and of what serves, as far as there are such."""
    candidate = training.candidate_of(captcha_type)
    serving = captcha_type.versions.filter(state=ModelVersion.State.SERVING).first()
    versions = [candidate.version if candidate else None, serving]
    return [_figures(version) for version in versions if version is not None]


def _figures(version: ModelVersion) -> Figures:
    stated = accuracy_of(version.metrics)
    evaluation = version.evaluations.order_by("-created", "-id").first()
    if evaluation is not None and evaluation.images.exists():
        wrong = evaluation.images.filter(right=False).values_list("truth", "read")
        found = confusions((truth, read or None) for truth, read in wrong)
        confused_on = f"the {evaluation.n} images that it has not seen"
    else:
        found = version.metrics.get(stated.measured_on, {}).get("confusions", []) if stated else []
        confused_on = "the images of its training's figures"
    return Figures(version, evaluation, stated, confused_on, list(found)[:CONFUSIONS])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""
