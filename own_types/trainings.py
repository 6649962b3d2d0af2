"""A training for credits: ordered once, charged once, and paid back once if no version came out of it."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, time

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import credits
from accounts.models import LedgerEntry, User
from jobs import services as jobs
from jobs.interpreters import NoTrainingPython
from jobs.models import JobRun
from labeling import datasets, removal, training
from labeling.models import Dataset
from ml.models import CaptchaType, ModelVersion
from ml.recognition.label_checks import errors
from own_types import selectors
from own_types.errors import AwaitsApproval, CannotTrainYet, TooManyTrainings, TrainingUnderWay
from own_types.models import Training
from own_types.services import ask_for_approval

logger = logging.getLogger(__name__)

State = Training.State
KEPT_DATASETS = 3
"""Of a private type: each holds a copy of all its images."""


def order(*, user: User, captcha_type: CaptchaType, key: uuid.UUID) -> Training:
    """Charge for a training and queue it: order, entry and job are there together or not at all.

    The same key again is the same training. A crash after the commit leaves a queued job, which whatever
    looks for overdue ones takes up.

    Raises:
        AwaitsApproval, TrainingUnderWay, TooManyTrainings, CannotTrainYet
        InsufficientCredits
    """
    known = Training.objects.filter(user=user, key=key).first()
    if known is not None:
        return known
    settle_all(user=user)
    _refuse(user, captcha_type)
    try:
        dataset, _ = datasets.freeze(captcha_type=captcha_type, by=user)  # writes files: before any lock
        with transaction.atomic():
            placed = _place(user, captcha_type, key, dataset)
    except datasets.CannotFreeze as error:
        raise CannotTrainYet(f"The labels cannot be frozen: {error}.") from error
    except NoTrainingPython as error:
        logger.warning("a customer's training cannot begin: %s", error)
        raise CannotTrainYet("Nothing can be trained here now: tell whoever runs this service.") from error
    except (IntegrityError, jobs.AlreadyRunning) as error:
        known = Training.objects.filter(user=user, key=key).first()
        if known is not None:  # the same order, a moment earlier
            return known
        raise TrainingUnderWay from error
    removal.keep_newest_datasets(captcha_type, KEPT_DATASETS)
    return placed


def cancel(placed: Training) -> None:
    """Stop a training; what was paid comes back when its process has ended without a version."""
    if placed.run is not None:
        jobs.cancel(run=placed.run)
    settle(placed)


def settle(placed: Training) -> bool:
    """Write down how a training ended, and pay it back if no version came out; false if nothing was to do.

    Of any number who do so at once, one does; the ledger refuses a second refund besides.
    """
    run = None if placed.run_id is None else JobRun.objects.filter(pk=placed.run_id).first()  # as it is now
    if placed.state != State.UNDER_WAY or (run is not None and not run.ended):
        return False
    version = _version_of(placed)
    open_order = Training.objects.filter(pk=placed.pk, state=State.UNDER_WAY)
    with transaction.atomic():
        state = State.DONE if version is not None else State.PAID_BACK
        if not open_order.update(state=state, version=version, ended=timezone.now()):
            return False
        if version is None and placed.price:
            credits.refund(
                account_id=placed.user.credit_account.pk,
                amount=placed.price,
                reference=placed.reference,
                reason=f"no version came out of the training of {placed.slug}"[:200],
            )
    placed.refresh_from_db()
    return True


def settle_all(*, user: User | None = None) -> int:
    """Settle what has ended, of one user or of all; how many there were."""
    under_way = Training.objects.filter(state=State.UNDER_WAY).select_related("user__credit_account")
    return sum(settle(placed) for placed in (under_way if user is None else under_way.filter(user=user)))


def begun_today(user: User) -> int:
    """Trainings that were ordered on this day of UTC, whatever became of them."""
    midnight = datetime.combine(timezone.now().date(), time(), UTC)
    return Training.objects.filter(user=user, created__gte=midnight).count()


def _refuse(user: User, captcha_type: CaptchaType) -> None:
    """What can be said before anything is frozen; what is unique or costs credits is decided afterwards."""
    if found := errors(selectors.findings_of(captcha_type)):
        raise CannotTrainYet(f"{found[0]}.")
    if selectors.needs_approval(captcha_type):
        ask_for_approval(captcha_type=captcha_type)
        raise AwaitsApproval
    if Training.objects.filter(user=user, state=State.UNDER_WAY).exists():
        raise TrainingUnderWay
    if begun_today(user) >= settings.TRAININGS_PER_DAY:
        raise TooManyTrainings
    balance = credits.balance(user)
    if balance < settings.TRAINING_PRICE:
        raise credits.InsufficientCredits(balance=balance, price=settings.TRAINING_PRICE)


def _place(user: User, captcha_type: CaptchaType, key: uuid.UUID, dataset: Dataset) -> Training:
    """The caller holds a transaction. The charge comes last: the account's row is held from there on."""
    if not CaptchaType.objects.select_for_update().filter(pk=captcha_type.pk).exists():
        raise CannotTrainYet("The type was deleted.")
    newest = ModelVersion.objects.filter(slug=captcha_type.slug).order_by("-version").first()
    placed = Training.objects.create(
        user=user,
        captcha_type=captcha_type,
        slug=captcha_type.slug,
        key=key,
        dataset=dataset.number,
        version_before=newest.version if newest else 0,
        price=settings.TRAINING_PRICE,
    )
    placed.run = training.start(
        captcha_type=captcha_type, dataset=dataset, by=user, minutes=settings.TRAINING_MINUTES
    )
    placed.save(update_fields=["run"])
    if placed.price:
        credits.charge(
            account_id=user.credit_account.pk,
            amount=placed.price,
            reference=placed.reference,
            kind=LedgerEntry.Kind.TRAINING,
        )
    return placed


def _version_of(placed: Training) -> ModelVersion | None:
    """The newest version that came out since it was ordered; one training of a type runs at a time."""
    versions = ModelVersion.objects.filter(
        captcha_type=placed.captcha_type_id, slug=placed.slug, version__gt=placed.version_before
    )
    return versions.order_by("-version").first() if placed.captcha_type_id else None
