"""Reading a captcha for a user and charging for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import api_keys, credits
from accounts.errors import DailyLimitReached
from accounts.models import ApiKey, CreditAccount, User
from ml import registry, shadow
from ml.recognition.decoding import Constraints
from ml.recognition.pipeline import Unsolvable
from solving import idempotency
from solving.errors import AccountGone, NoReader, StillRunning
from solving.models import Solve


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
    before_commit: Callable[[Receipt], None] | None = None,
) -> Receipt:
    """Read one image, and charge and store it in one transaction: the text is returned after the commit.

    A captcha that cannot be solved is stored as refused and costs nothing; `receipt.solve.outcome` tells.
    `before_commit` may write what must be committed together with the charge.

    What it costs counts against the daily limit of `api_key`, where the caller used one.

    Raises InsufficientCredits, DailyLimitReached, AccountGone, NoReader, and ImageError for bytes that are no
    picture; then nothing is stored.
    """
    account = user.credit_account
    price = settings.SOLVE_PRICE
    _refuse_without_credits(account, api_key, price)
    row = _read(user, image, hints)
    row.charged = price if row.outcome == Solve.Outcome.SOLVED else 0
    with _while_user_exists(user):
        if before_commit is None:
            receipt = _store(row, account, api_key)  # needs no transaction around it
        else:
            with transaction.atomic():
                receipt = _store(row, account, api_key)
                before_commit(receipt)
    _read_in_shadow(row, image, hints)
    return receipt


def solve_once(
    *,
    user: User,
    image: bytes,
    hints: Hints,
    key: str,
    request_hash: str,
    render: Callable[[Receipt], idempotency.Answer],
    api_key: ApiKey | None = None,
) -> idempotency.Answer:
    """`solve`, once for all requests under one Idempotency-Key; each gets the bytes of the first answer.

    Raises KeyReused, StillRunning and MalformedKey besides the errors of `solve`.
    """
    with _while_user_exists(user):
        held = idempotency.claim(user_id=user.pk, key=key, request_hash=request_hash)
    if isinstance(held, idempotency.Answer):
        return held
    answers: list[idempotency.Answer] = []

    def store_answer(receipt: Receipt) -> None:
        answers.append(render(receipt))
        idempotency.complete(held, answers[0])

    try:
        solve(user=user, image=image, hints=hints, api_key=api_key, before_commit=store_answer)
    except BaseException:
        idempotency.release(held)
        raise
    return answers[0]


def _refuse_without_credits(account: CreditAccount, api_key: ApiKey | None, price: int) -> None:
    """Keeps an empty account from costing a read; the charge afterwards decides."""
    if account.balance < price:
        raise credits.InsufficientCredits(balance=account.balance, price=price)
    left = None if api_key is None else api_keys.left_today(api_key)
    if left is not None and left < price:
        raise DailyLimitReached(api_key.daily_limit or 0)  # type: ignore[union-attr]


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
    row = Solve(user_id=user.pk, account_id=user.credit_account.pk)
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
