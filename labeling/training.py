"""From labels to a reader that serves: freeze, start the training, compare, promote."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jobs import interpreters, kinds
from jobs.models import JobRun
from jobs.services import AlreadyRunning, start_job
from labeling import datasets
from labeling.models import Dataset
from ml.gate import newest_pair
from ml.models import CaptchaType, Evaluation, ModelVersion
from ml.promotion import plan_promotion
from ml.selectors import Accuracy, accuracy_of
from ml.services import promote

TRAIN = kinds.Kind(
    "train a type", "train_dataset", "Train and evaluate a reader", needs_training=True, restartable=True
)
PREDICT = kinds.Kind("read samples", "read_samples", "Read the images that wait", restartable=True)
MINUTES = (1, 3, 10)
"""How long a training may take; the middle one is proposed."""


@dataclass(frozen=True)
class Candidate:
    """The newest trained version that does not serve, and what speaks for and against its promotion.

    `pair`: its evaluation and the serving version's on the same images, none of which either has seen.
    """

    version: ModelVersion
    stated: Accuracy | None
    serving: ModelVersion | None
    pair: tuple[Evaluation, Evaluation] | None
    evaluation: Evaluation | None
    objections: list[str]
    grounds: list[str]


def train(*, captcha_type: CaptchaType, by: Any, minutes: int = 3) -> tuple[JobRun, Dataset]:
    """Freeze what is agreed and start a training on it; one at a time for each type.

    Raises:
        CannotFreeze, AlreadyRunning
        NoTrainingPython: with the command to type.
    """
    dataset, _ = datasets.freeze(captcha_type=captcha_type, by=by)
    return start(captcha_type=captcha_type, dataset=dataset, by=by, minutes=minutes), dataset


def start(*, captcha_type: CaptchaType, dataset: Dataset, by: Any, minutes: int) -> JobRun:
    """Queue a training on a frozen data set; its process begins after the commit.

    Raises:
        AlreadyRunning
        NoTrainingPython: with the command to type.
    """
    return start_job(
        kind=TRAIN.name,
        args=[captcha_type.slug, str(dataset.number), "--minutes", str(minutes)],
        user=by,
        key=key_of(captcha_type),
    )


def key_of(captcha_type: CaptchaType) -> str:
    return f"train {captcha_type.slug}"


def last_training(captcha_type: CaptchaType) -> JobRun | None:
    return JobRun.objects.filter(key=key_of(captcha_type)).first()


def command_to_type(captcha_type: CaptchaType, dataset: Dataset | None) -> str:
    """The line that trains where this machine has no interpreter for it; empty where a button can."""
    number = str(dataset.number) if dataset else "NUMBER"
    return interpreters.command_to_type(TRAIN, [captcha_type.slug, number])


def candidate_of(captcha_type: CaptchaType) -> Candidate | None:
    """The newest candidate of a type that is newer than what serves."""
    versions = ModelVersion.objects.filter(slug=captcha_type.slug).select_related("captcha_type")
    serving = versions.filter(state=ModelVersion.State.SERVING).first()
    newest = versions.filter(state=ModelVersion.State.CANDIDATE).order_by("-version").first()
    if newest is None or (serving is not None and serving.version > newest.version):
        return None
    plan = plan_promotion(newest)
    return Candidate(
        version=newest,
        stated=accuracy_of(newest.metrics),
        serving=serving,
        pair=newest_pair(newest, serving) if serving else None,
        evaluation=newest.evaluations.order_by("-created", "-id").first(),
        objections=plan.objections,
        grounds=plan.grounds,
    )


def may_promote(person: Any, captcha_type: CaptchaType) -> bool:
    """Those who may change models, and the owner of a private type, whom alone it concerns."""
    return bool(captcha_type.owner_id == person.pk or person.has_perm("ml.change_modelversion"))


def promote_and_read(
    *, captcha_type: CaptchaType, number: int, reason: str, force: bool, by: Any
) -> list[ModelVersion]:
    """Let a version of the type serve, and read with it the images that wait.

    Raises:
        ModelVersion.DoesNotExist, CannotPromote
    """
    version = ModelVersion.objects.select_related("captcha_type").get(slug=captcha_type.slug, version=number)
    if not force:  # which needs a reason of somebody's own
        reason = reason or "by the page of data sets"
    promoted = promote(version=version, reason=reason, by=by, force=force)
    # Each claim reads the next few by itself; the grid, which shows the surest of all, needs all of them.
    with suppress(AlreadyRunning):  # it takes up the new version by itself
        start_job(kind=PREDICT.name, args=[captcha_type.slug], user=by, key=f"read {captcha_type.slug}")
    return promoted
