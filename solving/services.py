"""Reading a captcha for a user and charging for it."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import api_keys, credits
from accounts.errors import AccountError, DailyLimitReached
from accounts.models import ApiKey, CreditAccount, User
from ml import registry, shadow
from ml.recognition.decoding import Constraints
from ml.recognition.images import ImageError
from ml.recognition.pipeline import Unsolvable
from solving import idempotency, kept_images, metrics
from solving.errors import AccountGone, NoReader, StillRunning
from solving.models import Solve

Result = TypeVar("Result")
MAX_BATCH = 64
"""Images of one batch."""


@dataclass(frozen=True)
class Hints:
    """What the caller knows about the image. Every hint is kept: an answer never violates one."""

    captcha_type: str | None = None
    constraints: Constraints = field(default_factory=Constraints)
    min_confidence: float | None = None


@dataclass(frozen=True)
class Receipt:
    """A stored solve, and the credits that are left after it."""

    solve: Solve
    balance: int


def solve(
    *,
    user: User,
    image: bytes,
    hints: Hints = Hints(),
    api_key: ApiKey | None = None,
    shown_by_id: bool = False,
    before_commit: Callable[[Receipt], None] | None = None,
) -> Receipt:
    """Read one image, and charge and store it in one transaction: the text is returned after the commit.

    A captcha that cannot be solved is stored as refused and costs nothing; `receipt.solve.outcome` tells.
    `before_commit` may write what must be committed together with the charge.

    What it costs counts against the daily limit of `api_key`, where the caller used one. With `shown_by_id`
    whoever knows its id may ask for the text.

    Raises InsufficientCredits, DailyLimitReached, AccountGone, NoReader, and ImageError for bytes that are no
    picture; then nothing is stored.
    """
    account = user.credit_account
    price = settings.SOLVE_PRICE
    _refuse_without_credits(account, api_key, price)
    row = _read(user, image, hints)
    row.shown_by_id = shown_by_id
    if row.outcome == Solve.Outcome.SOLVED:
        row.charged = price
        kept_images.keep(row, image)
    with _while_user_exists(user):
        if before_commit is None:
            receipt = _store(row, account, api_key)  # needs no transaction around it
        else:
            with transaction.atomic():
                receipt = _store(row, account, api_key)
                before_commit(receipt)
    metrics.count(row)
    _read_in_shadow(row, image, hints)
    return receipt


def once(
    *,
    user: User,
    key: str,
    request_hash: str,
    work: Callable[[Callable[[Result], None]], object],
    render: Callable[[Result], idempotency.Answer],
) -> idempotency.Answer:
    """`work`, once for all requests under one Idempotency-Key; each gets the bytes of the first answer.

    `work` is `solve` or `solve_batch` of this request, given its `before_commit`. Raises KeyReused,
    StillRunning and MalformedKey besides its errors.
    """
    with _while_user_exists(user):
        held = idempotency.claim(user_id=user.pk, key=key, request_hash=request_hash)
    if isinstance(held, idempotency.Answer):
        return held
    answers: list[idempotency.Answer] = []

    def store_answer(result: Result) -> None:
        answers.append(render(result))
        idempotency.complete(held, answers[0])

    try:
        work(store_answer)
    except BaseException:
        idempotency.release(held)
        raise
    return answers[0]


@dataclass(frozen=True)
class Item:
    """One image of a batch."""

    image: bytes
    hints: Hints = Hints()


@dataclass(frozen=True)
class BatchReceipt:
    """What became of each image, in order, and the credits that are left.

    A stored solve; or why there is none: ImageError, InsufficientCredits or DailyLimitReached.
    """

    outcomes: list[Solve | ImageError | AccountError]
    balance: int

    @property
    def charged(self) -> int:
        return sum(one.charged for one in self.outcomes if isinstance(one, Solve))


def solve_batch(
    *,
    user: User,
    items: Sequence[Item],
    api_key: ApiKey | None = None,
    before_commit: Callable[[BatchReceipt], None] | None = None,
) -> BatchReceipt:
    """Read several images and charge and store them in one transaction, as far as the credits reach.

    A bad image, or one past the credits, takes nothing from the others. Raises what `solve` does, apart from
    ImageError: InsufficientCredits and DailyLimitReached where not one image can be paid.
    """
    account, price = user.credit_account, settings.SOLVE_PRICE
    _refuse_without_credits(account, api_key, price)
    within = _affordable(account, api_key, price)
    outcomes: list[Solve | ImageError | AccountError] = []
    solved = 0
    for item in items:
        if solved >= within:  # its text would be withheld: it need not be read
            outcomes.append(_shortage(account.balance, api_key, price))
            continue
        try:
            row = _read(user, item.image, item.hints)
        except ImageError as error:
            outcomes.append(error)
            continue
        if row.outcome == Solve.Outcome.SOLVED:
            row.charged = price
            kept_images.keep(row, item.image)
            solved += 1
        outcomes.append(row)
    with _while_user_exists(user), transaction.atomic():
        receipt = _store_batch(outcomes, account, api_key)
        if before_commit is not None:
            before_commit(receipt)
    for item, row_or_error in zip(items, receipt.outcomes, strict=True):
        if isinstance(row_or_error, Solve):
            metrics.count(row_or_error)
            _read_in_shadow(row_or_error, item.image, item.hints)
    return receipt


def _store_batch(
    outcomes: list[Solve | ImageError | AccountError], account: CreditAccount, api_key: ApiKey | None
) -> BatchReceipt:
    """Charge in order as far as the credits reach, and insert what was paid or refused."""
    price, balance = settings.SOLVE_PRICE, account.balance
    to_pay = [row for row in outcomes if isinstance(row, Solve) and row.charged]
    unpaid: set[int] = set()
    shortage: AccountError = credits.InsufficientCredits(balance=balance, price=price)
    if to_pay:
        left = None if api_key is None else api_keys.left_today(api_key, lock=True)
        within = len(to_pay) if left is None else min(left // price, len(to_pay))
        references = [f"solve {row.pk}" for row in to_pay[:within]]
        paid, balance = credits.charge_each(account_id=account.pk, price=price, references=references)
        shortage = _shortage(balance, api_key if paid == within else None, price)
        if not paid:
            raise shortage
        if api_key is not None:
            api_keys.spend(key=api_key, amount=paid * price)
        unpaid = {row.pk for row in to_pay[paid:]}
    kept = [shortage if isinstance(one, Solve) and one.pk in unpaid else one for one in outcomes]
    Solve.objects.bulk_create(one for one in kept if isinstance(one, Solve))
    return BatchReceipt(kept, balance)


def _refuse_without_credits(account: CreditAccount, api_key: ApiKey | None, price: int) -> None:
    """Keeps an empty account from costing a read; the charge afterwards decides."""
    if price and not _affordable(account, api_key, price):
        raise _shortage(account.balance, api_key if account.balance >= price else None, price)


def _affordable(account: CreditAccount, api_key: ApiKey | None, price: int) -> float:
    """How many solves the credits reach for, as they were when the request came."""
    if not price:
        return math.inf
    left = None if api_key is None else api_keys.left_today(api_key)
    return (account.balance if left is None else min(account.balance, left)) // price


def _shortage(balance: int, api_key: ApiKey | None, price: int) -> AccountError:
    """Why a solve is not paid: the key's limit of the day where it has one, else the balance."""
    if api_key is not None and api_key.daily_limit is not None and balance >= price:
        return DailyLimitReached(api_key.daily_limit)
    return credits.InsufficientCredits(balance=balance, price=price)


def _store(row: Solve, account: CreditAccount, api_key: ApiKey | None) -> Receipt:
    """Insert the solve and take its price, both or neither."""
    if not row.charged:
        row.save(force_insert=True)
        return Receipt(row, account.balance)
    if api_key is None or api_key.daily_limit is None:
        return _charge(row, account)
    with transaction.atomic(savepoint=False):
        api_keys.spend(key=api_key, amount=row.charged)
        return _charge(row, account)


def _charge(row: Solve, account: CreditAccount) -> Receipt:
    reference = f"solve {row.pk}"
    balance = credits.charge(account_id=account.pk, amount=row.charged, reference=reference, bought=row)
    return Receipt(row, balance)


def _read(user: User, image: bytes, hints: Hints) -> Solve:
    """The solve of an image, not yet stored nor charged."""
    started = time.perf_counter()
    row = Solve(user_id=user.pk, account_id=user.credit_account.pk, charged=0)
    recognizer = registry.recognizer(user.pk)
    if recognizer.general is None and not recognizer.readers:
        raise NoReader
    try:
        recognition = recognizer.recognize(
            image,
            captcha_type=hints.captcha_type,
            constraints=hints.constraints,
            min_confidence=hints.min_confidence,
            max_bytes=settings.MAX_UPLOAD_BYTES,
            max_pixels=settings.MAX_IMAGE_PIXELS,
        )
    except Unsolvable as refusal:
        row.outcome = Solve.Outcome.REFUSED
        row.reason_code, row.reason = refusal.code, refusal.reason
        row.captcha_type = hints.captcha_type or ""
    else:
        row.outcome = Solve.Outcome.SOLVED
        row.recognition = recognition
        row.captcha_type = recognition.captcha_type
        row.text, row.answer = recognition.text, recognition.answer
        row.confidence = recognition.confidence
        row.characters = [[one.char, round(one.confidence, 4)] for one in recognition.characters]
        row.model_version = recognition.model_version
    row.elapsed_ms = round((time.perf_counter() - started) * 1000, 3)
    return row


def _read_in_shadow(row: Solve, image: bytes, hints: Hints) -> None:
    """A candidate in shadow may read the image too, later and without a word."""
    shadow.offer(
        reference=row.pk,
        image=image,
        captcha_type=row.captcha_type,
        text=row.text,
        answer=row.answer,
        model_version=row.model_version,
        constraints=hints.constraints,
    )


@contextmanager
def _while_user_exists(user: User) -> Iterator[None]:
    """A user who is deleted in mid-request has no balance, no key and breaks foreign keys: that is a 401."""
    try:
        yield
    except (IntegrityError, credits.InsufficientCredits, StillRunning) as error:
        if not User.objects.filter(pk=user.pk).exists():
            raise AccountGone from error
        raise
