"""What was started, how far it is, how it ended; and what is to be started again and again."""

from datetime import datetime, time, timedelta

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.kinds import UnknownKind, kind_named


class JobRun(models.Model):
    """One run of a management command. Whoever changes `state` does so under the condition of what it was."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    kind = models.CharField(max_length=50)
    arguments = models.JSONField(default=list, help_text="The command's arguments, a list of words.")
    key = models.CharField(
        max_length=120, blank=True, help_text="Of the runs that have not ended one at most has the same key."
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    schedule = models.ForeignKey(
        "Schedule", on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )

    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(
        default=0, help_text="How often a process took it up. Only the latest one's word counts."
    )
    cancel_requested = models.DateTimeField(null=True, blank=True)
    done = models.PositiveBigIntegerField(default=0)
    of = models.PositiveBigIntegerField(default=0, help_text="0: nobody knows how much there is to do.")
    line = models.CharField(max_length=300, blank=True, help_text="What it is at now.")
    curve = models.JSONField(
        default=list, help_text="Figures in the order in which they were told, as objects of numbers."
    )
    log = models.TextField(blank=True, help_text="The end of what the command printed.")
    outcome = models.CharField(max_length=300, blank=True, help_text="Why it ended so.")
    exit_code = models.IntegerField(null=True, blank=True)
    host = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True, blank=True)

    created = models.DateTimeField(default=timezone.now)
    launched = models.DateTimeField(null=True, blank=True, help_text="When a process was last asked for.")
    started = models.DateTimeField(null=True, blank=True)
    heartbeat = models.DateTimeField(null=True, blank=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                name="jobrun_one_at_a_time",
                fields=["key"],
                condition=~Q(key="") & Q(state__in=["queued", "running"]),
            ),
        ]
        indexes = [
            models.Index(
                name="jobrun_unfinished", fields=["state"], condition=Q(state__in=["queued", "running"])
            ),
            models.Index(name="jobrun_key", fields=["key", "-id"]),
            models.Index(name="jobrun_latest", fields=["state", "kind", "-id"]),
            models.Index(name="jobrun_finished", fields=["finished"]),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.pk}"

    @property
    def title(self) -> str:
        try:
            return kind_named(self.kind).title
        except UnknownKind:  # of an app that is gone
            return self.kind

    @property
    def ended(self) -> bool:
        return self.state not in (self.State.QUEUED, self.State.RUNNING)


class Schedule(models.Model):
    """A job that is started every so many minutes, or every day at one time (UTC)."""

    kind = models.CharField(max_length=50)
    arguments = models.JSONField(default=list, blank=True, help_text='A list of words, e.g. ["my_type"].')
    every_minutes = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    daily_at = models.TimeField(null=True, blank=True, help_text="UTC.")
    enabled = models.BooleanField(default=True)
    next_run = models.DateTimeField(default=timezone.now)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="schedule_one_rhythm",
                condition=Q(every_minutes__isnull=False, every_minutes__gte=1, daily_at__isnull=True)
                | Q(every_minutes__isnull=True, daily_at__isnull=False),
                violation_error_message="Give either the minutes between two runs or the time of day.",
            ),
        ]

    def __str__(self) -> str:
        try:
            title = kind_named(self.kind).title
        except UnknownKind:
            title = self.kind
        return f"{title}, {self.rhythm}"

    @property
    def rhythm(self) -> str:
        if self.every_minutes:
            return f"every {self.every_minutes} minutes"
        return f"daily at {self.daily_at:%H:%M}" if isinstance(self.daily_at, time) else "never"

    def following(self, now: datetime) -> datetime:
        """The next moment after `now`. What was missed while nothing looked is made up for once."""
        if self.every_minutes:
            step = timedelta(minutes=self.every_minutes)
            missed = max(0, (now - self.next_run) // step)
            return self.next_run + (missed + 1) * step
        today = datetime.combine(now, self.daily_at or time(), tzinfo=now.tzinfo)
        return today if today > now else today + timedelta(days=1)
