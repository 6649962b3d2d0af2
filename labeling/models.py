"""Images that wait for a text, what people typed for them, and the data sets frozen out of both."""

import uuid

from django.conf import settings
from django.core.files.storage import storages
from django.core.files.storage.base import Storage
from django.db import models
from django.db.models import Q
from django.utils import timezone

from ml.models import CaptchaType

MAX_TEXT = 64
"""Characters of the longest text that a label may hold."""


def sample_storage() -> Storage:
    """Where the images lie: never below what is served as static files."""
    return storages["samples"]


class Split(models.TextChoices):
    TRAIN = "train", "training"
    VALIDATION = "validation", "validation"
    TEST = "test", "test"


class Mode(models.TextChoices):
    """How a label came about."""

    TYPE = "type", "typed into an empty field"
    VERIFY = "verify", "a prediction accepted or changed"
    GRID = "grid", "one of twelve predictions on a page"
    DISAGREEMENT = "disagreement", "read blind by a third person"
    IMPORT = "import", "came with the image"


class Sample(models.Model):
    """One image of a type, told apart by its bytes, with what was decided about it.

    The lease says who is looking at it now: `lease_session` is one open page, `lease_claim` one claim of it.
    """

    class Status(models.TextChoices):
        OPEN = "open", "open"
        AGREED = "agreed", "agreed"
        DISAGREEMENT = "disagreement", "disagreement"
        UNREADABLE = "unreadable", "unreadable"
        FLAGGED = "flagged", "flagged"

    captcha_type = models.ForeignKey(CaptchaType, on_delete=models.CASCADE, related_name="samples")
    sha256 = models.CharField("SHA-256 of the file", max_length=64)
    image = models.FileField(storage=sample_storage, max_length=200)
    name = models.CharField(max_length=200, blank=True, help_text="The file's name where it came from.")
    source = models.CharField(max_length=200, blank=True, help_text="Where it came from.")
    size = models.PositiveIntegerField(help_text="Bytes.")
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    duplicates = models.PositiveIntegerField(default=0, help_text="How often the same bytes came again.")
    split = models.CharField(max_length=10, choices=Split)
    reported = models.BooleanField(default=False, help_text="Somebody called an answer for it wrong.")

    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    text = models.CharField(max_length=MAX_TEXT, blank=True, help_text="What was agreed on.")
    round = models.PositiveSmallIntegerField(default=1, help_text="Reopening it begins the next round.")
    opinions = models.PositiveSmallIntegerField(default=0, help_text="Labels of this round that count.")
    trusted = models.BooleanField(
        default=False,
        help_text="Sure enough to measure people by: two agreed, or an import said so.",
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    prediction = models.CharField(max_length=MAX_TEXT, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    characters = models.JSONField(default=list, blank=True, help_text="Confidence of each character.")
    model_version = models.CharField(max_length=80, blank=True)
    priority = models.FloatField(default=2.0, help_text="What teaches most comes first: the lowest number.")

    lease_person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    lease_session = models.UUIDField(null=True, blank=True)
    lease_claim = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(name="sample_unique_per_type", fields=["captcha_type", "sha256"]),
            models.CheckConstraint(
                name="sample_agreed_has_a_text", condition=~Q(status="agreed") | ~Q(text="")
            ),
        ]
        indexes = [
            models.Index(name="sample_queue", fields=["captcha_type", "status", "priority", "id"]),
            models.Index(name="sample_twins", fields=["captcha_type", "text"]),
            models.Index(name="sample_session", fields=["lease_session"]),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} {self.text}".strip()


class Membership(models.Model):
    """A person who labels images of a type. Staff need none; it is made with their first image."""

    captcha_type = models.ForeignKey(CaptchaType, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="labeling_memberships"
    )
    paused_at = models.DateTimeField(
        null=True, blank=True, help_text="Set when too many checks went wrong; clear it to let them go on."
    )
    measured_from = models.DateTimeField(
        default=timezone.now, help_text="Checks before this moment no longer count."
    )
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["captcha_type", "person"]
        constraints = [models.UniqueConstraint(name="membership_unique", fields=["captcha_type", "person"])]

    def __str__(self) -> str:
        return f"{self.person} labels {self.captcha_type}"


class Assignment(models.Model):
    """One image as it was put before one person: what it showed, and what for.

    A check looks like any other image: `expected` is its known text, `prefill` perhaps a planted wrong one.
    """

    class Purpose(models.TextChoices):
        LABEL = "label", "to be labelled"
        GOLD = "gold", "a check with a known text"
        PLANTED = "planted", "a check with a wrong prediction"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sample = models.ForeignKey(Sample, on_delete=models.CASCADE, related_name="assignments")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session = models.UUIDField(help_text="The open page it was given to.")
    purpose = models.CharField(max_length=7, choices=Purpose, default=Purpose.LABEL)
    mode = models.CharField(max_length=12, choices=Mode)
    round = models.PositiveSmallIntegerField(default=1)
    prefill = models.CharField(max_length=MAX_TEXT, blank=True)
    model_version = models.CharField(max_length=80, blank=True)
    expected = models.CharField(max_length=MAX_TEXT, blank=True)
    right = models.BooleanField(null=True, help_text="Of a check that was answered: whether rightly.")
    answered_at = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created"]
        indexes = [models.Index(name="assignment_checks", fields=["person", "answered_at"])]

    def __str__(self) -> str:
        return f"{self.sample} for {self.person}"


class Label(models.Model):
    """What one person said about one image in one round. An undone or replaced label stays, out of force."""

    class Kind(models.TextChoices):
        TEXT = "text", "a text"
        UNREADABLE = "unreadable", "unreadable"
        FLAGGED = "flagged", "flagged"
        SKIPPED = "skipped", "skipped"

    save_id = models.UUIDField(unique=True, help_text="Made by the page: the same save arrives once.")
    sample = models.ForeignKey(Sample, on_delete=models.CASCADE, related_name="labels")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="labels"
    )
    assignment = models.ForeignKey(
        Assignment, on_delete=models.SET_NULL, null=True, blank=True, related_name="labels"
    )
    round = models.PositiveSmallIntegerField(default=1)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.TEXT)
    text = models.CharField(max_length=MAX_TEXT, blank=True)
    seconds = models.FloatField(default=0, help_text="From the image's appearance to the save.")
    mode = models.CharField(max_length=12, choices=Mode)
    model_version = models.CharField(max_length=80, blank=True, help_text="Whose prediction was shown.")
    prefill = models.CharField(max_length=MAX_TEXT, blank=True)
    prefill_changed = models.BooleanField(default=False)
    undone_at = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                name="label_unique", fields=["sample", "person", "round"], condition=Q(undone_at__isnull=True)
            ),
            models.CheckConstraint(
                name="label_of_a_kind",
                condition=(Q(kind="text") & ~Q(text="")) | (~Q(kind="text") & Q(text="")),
            ),
        ]
        indexes = [models.Index(name="label_person", fields=["person", "created"])]

    def __str__(self) -> str:
        return f"{self.text or self.kind} by {self.person}"


class Report(models.Model):
    """Somebody called the service's answer for this image wrong."""

    sample = models.ForeignKey(Sample, on_delete=models.CASCADE, related_name="reports")
    reference = models.CharField(max_length=100, db_index=True, help_text="The caller's name for the report.")
    read = models.CharField(max_length=MAX_TEXT, blank=True, help_text="What the service answered.")
    correction = models.CharField(max_length=MAX_TEXT, blank=True, help_text="What the customer read.")
    may_train = models.BooleanField(default=False, help_text="The customer lets models be trained on it.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(name="report_unique", fields=["sample", "reference"])]

    def __str__(self) -> str:
        return f"{self.reference}: {self.correction or 'wrong'}, not {self.read}"


class Dataset(models.Model):
    """A folder of labelled images that never changes again: what a model was trained on and tested with."""

    captcha_type = models.ForeignKey(CaptchaType, on_delete=models.CASCADE, related_name="datasets")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64, help_text="Over images, labels and their splits.")
    folder = models.CharField(max_length=200, help_text="Relative to DATASETS_ROOT.")
    facts = models.JSONField(default=dict, help_text="Counts, alphabet, balance, duplicates, agreement.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["captcha_type", "-number"]
        constraints = [
            models.UniqueConstraint(name="dataset_number_unique", fields=["captcha_type", "number"]),
            models.UniqueConstraint(name="dataset_content_unique", fields=["captcha_type", "content_hash"]),
        ]

    def __str__(self) -> str:
        return f"{self.captcha_type} {self.number}"
