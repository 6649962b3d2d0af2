"""What was read for whom and at what charge, and the answers that a retry gets again."""

import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import CreditAccount

MAX_ID = 2**53 - 1
"""Largest id: every integer up to it is exact in JavaScript."""


def random_id() -> int:
    """An id that cannot be guessed: some clients may ask for a text by its id alone.

    Among ten million solves a new id is taken already once in 10**9 times.
    """
    return secrets.randbelow(MAX_ID) + 1


class Solve(models.Model):
    """One image that was read, or refused, and what was charged for it. The image itself is not kept.

    It belongs to a credit account, which outlives its user: deleting a user empties `user` and
    leaves what the ledger's entries refer to.
    """

    class Outcome(models.TextChoices):
        SOLVED = "solved", "solved"
        REFUSED = "refused", "refused"

    id = models.BigIntegerField(primary_key=True, default=random_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="solves",
        db_index=False,  # the history's index begins with the same column
    )
    # No index: an account's solves are found through its user or through the ledger.
    account = models.ForeignKey(CreditAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    captcha_type = models.CharField(
        max_length=63, blank=True, help_text="Slug of the type that it was read as."
    )
    text = models.TextField(blank=True, help_text="What is written on the image.")
    answer = models.TextField(blank=True, help_text="What to type: the text, or the value of the arithmetic.")
    confidence = models.FloatField(null=True, help_text="Probability that the whole text is right.")
    characters = models.JSONField(default=list, help_text="A list of [character, confidence].")
    model_version = models.CharField(max_length=80, blank=True, help_text="The reader, as SLUG/VERSION.")
    outcome = models.CharField(max_length=7, choices=Outcome)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was refused.")
    charged = models.PositiveIntegerField(help_text="Credits.")
    elapsed_ms = models.FloatField(help_text="Wall time of decoding and reading.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-created", "-id"], name="solve_history"),
            models.Index(fields=["-created", "-id"], name="solve_newest"),  # the admin's list
        ]
        constraints = [
            models.CheckConstraint(
                name="solve_refused_is_free", condition=models.Q(outcome="solved") | models.Q(charged=0)
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class IdempotencyKey(models.Model):
    """A client's name for one request, and the answer that each repetition of it gets.

    While `status` is empty the first request still runs, or its process died: `claimed_at` tells.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    claim = models.UUIDField(help_text="Which of several identical requests may answer.")
    claimed_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.BinaryField(null=True)
    created = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_unique")]

    def __str__(self) -> str:
        return self.key
