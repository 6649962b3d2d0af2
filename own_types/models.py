"""What a private type needs beside labels and models: leave to train, and the trainings that were paid."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.models import JobRun
from ml.models import CaptchaType, ModelVersion


class Approval(models.Model):
    """Somebody asked to train a type, and the staff's leave (only with PRIVATE_TYPES_NEED_APPROVAL)."""

    captcha_type = models.OneToOneField(CaptchaType, on_delete=models.CASCADE, related_name="approval")
    asked = models.DateTimeField(default=timezone.now)
    approved = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-asked"]
        verbose_name = "leave to train"
        verbose_name_plural = "leaves to train"

    def __str__(self) -> str:
        return f"{self.captcha_type}"


class Training(models.Model):
    """One training that a customer ordered. Its entry in the ledger names it, and so does a refund's."""

    class State(models.TextChoices):
        UNDER_WAY = "under_way", "under way"
        DONE = "done", "a version came out"
        PAID_BACK = "paid_back", "came to nothing"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="trainings")
    captcha_type = models.ForeignKey(
        CaptchaType, on_delete=models.SET_NULL, null=True, blank=True, related_name="trainings"
    )
    slug = models.CharField(max_length=63, help_text="Of the type, which may be deleted by now.")
    key = models.UUIDField(help_text="Made by the page: the same order arrives once.")
    dataset = models.PositiveIntegerField(help_text="Number of the data set.")
    version_before = models.PositiveIntegerField(default=0, help_text="The newest one when it was ordered.")
    price = models.PositiveIntegerField(help_text="Credits that were taken.")
    run = models.ForeignKey(JobRun, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.UNDER_WAY)
    version = models.ForeignKey(
        ModelVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created = models.DateTimeField(default=timezone.now)
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="training_order_once", fields=["user", "key"]),
            models.UniqueConstraint(
                name="training_one_at_a_time", fields=["user"], condition=Q(state="under_way")
            ),
        ]

    def __str__(self) -> str:
        return f"training {self.pk} of {self.slug}"

    @property
    def reference(self) -> str:
        """What its ledger entries are for."""
        return f"training {self.pk}"


class DeletedType(models.Model):
    """A type whose rows are gone and whose files are still to be deleted: a crash in between forgets none."""

    slug = models.CharField(max_length=63, unique=True)
    type_id = models.BigIntegerField(help_text="The id that it had: it names the folder of its images.")
    deleted = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.slug
