"""Idempotency-Key: however often a request is repeated, it is charged once and answered with the same bytes.

A key is claimed before the work and completed in the transaction that charges, on the condition that the
claim still stands. So of several holders at most one can ever commit: a claim whose process died may be
taken over after `LEASE` without a risk, even if that process was only slow.
"""

import hashlib
import random
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from solving.errors import KeyReused, MalformedKey, StillRunning
from solving.models import IdempotencyKey

LEASE = timedelta(seconds=10)
"""After which a claim without an answer counts as abandoned; a solve takes milliseconds."""
RETENTION = timedelta(hours=24)
"""How long an answer is kept for repetitions."""
SWEEP_SIZE = 500
_SWEEP_EVERY = 200
_LONGEST_KEY = 255
_ATTEMPTS = 3
_CLAIM = """
    INSERT INTO solving_idempotencykey
        (user_id, key, request_hash, claim, claimed_at, created, content_type)
    VALUES (%s, %s, %s, %s, %s, %s, '')
    ON CONFLICT (user_id, key) DO NOTHING RETURNING id"""
_COMPLETE = """
    UPDATE solving_idempotencykey SET status = %s, content_type = %s, body = %s
    WHERE id = %s AND claim = %s AND status IS NULL"""
_TOKEN = IdempotencyKey._meta.get_field("claim")
_BODY = IdempotencyKey._meta.get_field("body")


@dataclass(frozen=True)
class Claim:
    """The right to answer the requests under one key."""

    row_id: int
    token: uuid.UUID


@dataclass(frozen=True)
class Answer:
    """A response as it goes over the wire."""

    status: int
    content_type: str
    body: bytes


def request_hash(*parts: bytes | str) -> str:
    """A digest of what was asked. Each part counts with its length, so that none runs into the next."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


def claim(*, user_id: int, key: str, request_hash: str) -> Claim | Answer:
    """Claim the key for this request, or the answer that its first request got.

    Raises KeyReused for another request under the same key, StillRunning while the first one runs,
    MalformedKey.
    """
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        raise MalformedKey(_LONGEST_KEY)
    if random.randrange(_SWEEP_EVERY) == 0:
        delete_expired()
    for _ in range(_ATTEMPTS):
        fresh = _claim_new(user_id, key, request_hash)
        if fresh is not None:
            return fresh
        row = IdempotencyKey.objects.filter(user_id=user_id, key=key).first()
        if row is None:  # released by its holder since
            continue
        if row.created < timezone.now() - RETENTION:
            IdempotencyKey.objects.filter(pk=row.pk, created=row.created).delete()
            continue
        return _join(row, request_hash)
    raise StillRunning


def _claim_new(user_id: int, key: str, request_hash: str) -> Claim | None:
    """A claim on a key that nobody used; None where somebody did. One statement, whoever races."""
    token = uuid.uuid4()
    as_uuid = _TOKEN.get_db_prep_value(token, connection)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [user_id, key, request_hash, as_uuid, now, now])
        row = cursor.fetchone()
    return None if row is None else Claim(row[0], token)


def _join(row: IdempotencyKey, request_hash: str) -> Claim | Answer:
    """What a repetition gets: the answer, or the claim of a holder that died."""
    if row.request_hash != request_hash:
        raise KeyReused
    if row.status is not None:
        return Answer(row.status, row.content_type, bytes(row.body or b""))
    if row.claimed_at < timezone.now() - LEASE:
        token = uuid.uuid4()
        abandoned = IdempotencyKey.objects.filter(pk=row.pk, claim=row.claim, status=None)
        if abandoned.update(claim=token, claimed_at=timezone.now()) == 1:
            return Claim(row.pk, token)
    raise StillRunning


def complete(claim: Claim, answer: Answer) -> None:
    """Store the answer; to be called in the transaction that charges.

    The account's row is locked meanwhile, so that no query is built here. Raises StillRunning when another
    process has taken the claim over: the caller's transaction must fail.
    """
    body = _BODY.get_db_prep_value(answer.body, connection)
    token = _TOKEN.get_db_prep_value(claim.token, connection)
    with connection.cursor() as cursor:
        cursor.execute(_COMPLETE, [answer.status, answer.content_type, body, claim.row_id, token])
        stored = cursor.rowcount
    if stored != 1:
        raise StillRunning


def release(claim: Claim) -> None:
    """Give the key back after an error that charged nothing, so that it can be tried again at once."""
    IdempotencyKey.objects.filter(pk=claim.row_id, claim=claim.token, status=None).delete()


def delete_expired() -> int:
    """Delete up to `SWEEP_SIZE` answers past their time. Every few hundredth claim does it in passing."""
    expired = IdempotencyKey.objects.filter(created__lt=timezone.now() - RETENTION).order_by("created")
    ids = list(expired.values_list("pk", flat=True)[:SWEEP_SIZE])
    return IdempotencyKey.objects.filter(pk__in=ids).delete()[0]
