"""What was read for whom and at what charge, and the answers that a retry gets again."""

import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import CreditAccount
from ml.recognition.pipeline import Recognition

MAX_ID = 2**53 - 1
"""Largest id: every integer up to it is exact in JavaScript."""


def random_id() -> int:
    """An id that cannot be guessed: clients of one dialect ask for a text by its id alone.

    Among ten million solves a new id is taken already once in 10**9 times.
    """
    return secrets.randbelow(MAX_ID) + 1


class Solve(models.Model):
    """One image that was read, or refused, and what was charged for it.

    The image itself is kept only while the answer can be reported (`kept_images`).

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
    shown_by_id = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Made in a dialect whose clients ask for the text by its id, without a key.",
    )

    recognition: Recognition | None = None
    """Of a solve made just now, all that its reader told; it is not stored."""

    class Meta:
        indexes = [
            models.Index(fields=["user", "-created", "-id"], name="solve_history"),
            # For its filters: a page of what is rare would else read the whole of a large history.
            models.Index(fields=["user", "captcha_type", "-created", "-id"], name="solve_history_of_type"),
            models.Index(
                fields=["user", "-created", "-id"],
                name="solve_history_of_refusals",
                condition=models.Q(outcome="refused"),
            ),
            models.Index(fields=["-created", "-id"], name="solve_newest"),  # the admin's list
        ]
        constraints = [
            models.CheckConstraint(
                name="solve_refused_is_free", condition=models.Q(outcome="solved") | models.Q(charged=0)
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class SummedDay(models.Model):
    """A day (UTC) that is in the totals, even one without a solve."""

    day = models.DateField(primary_key=True)

    def __str__(self) -> str:
        return str(self.day)


class DayTotal(models.Model):
    """Solves of one day, type and outcome: of a user, and once more of everybody (`totals`)."""

    # No index of its own: the constraint's begins with the same column.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    day = models.DateField()
    captcha_type = models.CharField(max_length=63, blank=True)
    outcome = models.CharField(max_length=7, choices=Solve.Outcome)
    solves = models.PositiveIntegerField()
    charged = models.PositiveBigIntegerField(help_text="Credits.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "day", "captcha_type", "outcome"], name="day_total_of_a_user"
            ),
            models.UniqueConstraint(
                fields=["day", "captcha_type", "outcome"],
                name="day_total_of_all",
                condition=models.Q(user=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.solves} {self.outcome} on {self.day}"


class TaskGroup(models.Model):
    """Several solves that a dialect's client knows by one id."""

    id = models.BigIntegerField(primary_key=True, default=random_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    solve_ids = models.JSONField()
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["user"], name="task_group_user"),  # a user's go with the user
            models.Index(fields=["created"], name="task_group_created"),  # those past their time go
        ]

    def __str__(self) -> str:
        return str(self.pk)


class SolveReport(models.Model):
    """What its user said about an answer, and what came of it (`reports`)."""

    class Verdict(models.TextChoices):
        CORRECT = "correct", "correct"
        INCORRECT = "incorrect", "incorrect"

    class State(models.TextChoices):
        NOTED = "noted", "noted"  # that an answer was right
        WAITING = "waiting", "waiting for a labeller"
        CONFIRMED = "confirmed", "confirmed"  # the answer was wrong
        REJECTED = "rejected", "rejected"  # the answer was right
        UNREADABLE = "unreadable", "unreadable"  # nobody can tell

    solve = models.OneToOneField(Solve, on_delete=models.CASCADE, primary_key=True, related_name="report")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    verdict = models.CharField(max_length=9, choices=Verdict)
    correction = models.CharField(max_length=64, blank=True, help_text="What the user says it shows.")
    state = models.CharField(max_length=10, choices=State)
    by_hand = models.BooleanField(
        default=False, help_text="Its type has no labellers: staff decide, and the image waits for them."
    )
    decided_text = models.CharField(max_length=64, blank=True, help_text="What the labellers agreed on.")
    refunded = models.PositiveIntegerField(default=0, help_text="Credits.")
    created = models.DateTimeField(default=timezone.now)
    decided = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-created"], name="solve_report_user"),
            models.Index(fields=["-created"], name="solve_report_newest"),  # the admin's list
            models.Index(
                fields=["created"], name="solve_report_waiting", condition=models.Q(state="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.verdict}, {self.state}"


class Callback(models.Model):
    """An answer on its way to a URL of the caller's (`callbacks`)."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        DELIVERED = "delivered", "delivered"
        GIVEN_UP = "given_up", "given up"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="callbacks")
    url = models.TextField()
    content_type = models.CharField(max_length=100)
    body = models.BinaryField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the API key, which signs it.")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True, help_text="Why the last attempt failed.")
    due = models.DateTimeField(help_text="When it is tried next, or was done with.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["due"], name="callback_due", condition=models.Q(state="waiting")),
            models.Index(fields=["due"], name="callback_done", condition=~models.Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.state} to {self.url}"


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
