"""Where captchas may be collected, the runs that did, and where each image came from, by whose leave."""

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from crawl import rules
from labeling.models import Sample
from ml.models import CaptchaType

MAX_COUNT = 100_000


class CaptchaSource(models.Model):
    """One way to reach the captchas of one site, and who allowed it until when."""

    class Start(models.TextChoices):
        """What the first address answers."""

        IMAGE = "image", "the image itself"
        PAGE = "page", "a page that shows the image"
        JSON = "json", "JSON that holds the image or its address"

    class Session(models.TextChoices):
        FRESH = "fresh", "a new one for each image, without cookies"
        KEPT = "kept", "one for the whole run"

    class Again(models.TextChoices):
        """How the next image of a kept session is reached."""

        START = "start", "from the start"
        IMAGE = "image", "the image's address once more"
        REFRESH = "refresh", "by the refresh button"

    slug = models.CharField(
        "name",
        max_length=63,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Small letters, digits, _ and - alone.")],
    )
    # A private type goes with its owner, and the ways to its images with it; runs and their trail stay.
    captcha_type = models.ForeignKey(CaptchaType, on_delete=models.CASCADE, related_name="sources")
    active = models.BooleanField(default=True)
    start_url = models.CharField("start URL", max_length=2000)
    start = models.CharField("the start URL answers", max_length=5, choices=Start, default=Start.PAGE)
    image = models.CharField(
        max_length=300,
        blank=True,
        help_text="Where the image is: of a page a CSS selector (img#captcha) or XPath (//img/@src), of JSON "
        "a path (captcha.image). The value may be an address, a data: URL or base64.",
    )
    consent_form = models.CharField(
        max_length=300,
        blank=True,
        help_text="CSS or XPath of a form to send before the image, if there is one.",
    )
    consent_button = models.CharField(
        max_length=300,
        blank=True,
        help_text="CSS or XPath of the button to press; default: the form's first.",
    )
    consent_fields = models.JSONField(
        default=dict, blank=True, help_text="Fields of the form to fill in, as names and values."
    )
    session = models.CharField(max_length=5, choices=Session, default=Session.FRESH)
    again = models.CharField("next image", max_length=7, choices=Again, default=Again.START)
    refresh = models.CharField(
        max_length=300,
        blank=True,
        help_text="Where the address of the refresh button is, written as for the image.",
    )
    truth = models.CharField(
        max_length=300,
        blank=True,
        help_text="Of a test site of your own: where it says what the image shows, written as for the image.",
    )
    truth_url = models.CharField(
        max_length=2000,
        blank=True,
        help_text="Where that is asked, in the session of the image, if not beside it; JSON or a page.",
    )
    hosts = models.JSONField(
        default=list,
        blank=True,
        help_text='Other hosts that the site needs, such as its image server: ["img.example.org"].',
    )
    spider = models.CharField(
        max_length=60,
        default="source",
        help_text="Name of the spider class; source is driven by this record.",
    )

    count = models.PositiveIntegerField(
        default=300,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_COUNT)],
        help_text="Images of a run, duplicates not counted.",
    )
    delay = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(3600.0)],
        help_text="Seconds between two requests to a host.",
    )
    timeout = models.PositiveIntegerField(
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(300)],
        help_text="Seconds that one answer may take as a whole.",
    )
    every_minutes = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Crawl again and again by itself …",
    )
    daily_at = models.TimeField(null=True, blank=True, help_text="… or once a day at this time (UTC).")
    give_up_after = models.PositiveIntegerField(
        default=5,
        validators=[MinValueValidator(1)],
        help_text="Failures in a row that end a run; 1 ends it with the first.",
    )
    give_up_after_duplicates = models.PositiveIntegerField(
        default=100, validators=[MinValueValidator(1)], help_text="Duplicates in a row that end a run."
    )

    authorised_by = models.CharField(
        max_length=200, blank=True, help_text="Who allowed it: a name and how to reach them."
    )
    authorisation = models.TextField(
        blank=True,
        help_text="What was allowed, and where that is written: a contract, a mail, one's own site.",
    )
    authorised_until = models.DateField(null=True, blank=True, help_text="The last day on which it holds.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["slug"]
        verbose_name = "source"

    def __str__(self) -> str:
        return self.slug

    @property
    def host(self) -> str:
        """Host and port of the start URL, as one crawl at a time may visit it."""
        return urlsplit(self.start_url).netloc.rpartition("@")[2].lower()

    def clean(self) -> None:
        """Raises ValidationError with the fields that do not fit together."""
        wrong = rules.problems_of(self)
        if wrong:
            raise ValidationError(wrong)


class CrawlRun(models.Model):
    """One crawl of a source; while it is running, what it has done so far."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        COMPLETE = "complete", "complete"
        SHORT = "short", "ended with fewer images than asked"
        CANCELLED = "cancelled", "cancelled"

    source = models.ForeignKey(CaptchaSource, on_delete=models.SET_NULL, null=True, related_name="runs")
    source_slug = models.CharField("source's name", max_length=63)
    host = models.CharField(max_length=300)
    state = models.CharField(max_length=9, choices=State, default=State.RUNNING)
    wanted = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    kept = models.PositiveIntegerField(default=0, help_text="New images in the labelling queue.")
    labelled = models.PositiveIntegerField(default=0, help_text="Of these, with a text that the site told.")
    duplicates = models.PositiveIntegerField(default=0)
    drops = models.JSONField(default=dict, help_text="Whatever else came to nothing, by reason.")
    requests = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it ended.")
    log = models.TextField(blank=True, help_text="The last lines.")
    cancel = models.BooleanField(default=False, help_text="Somebody asked for its end.")
    by = models.CharField(max_length=200, help_text="Who started it, and on which machine.")
    pid = models.PositiveIntegerField(default=0, help_text="Of the process at work.")
    machine = models.CharField(max_length=200, blank=True, help_text="Where that process runs.")
    authorisation = models.TextField(help_text="By whose leave, as it stood at the start.")
    started = models.DateTimeField(default=timezone.now)
    heartbeat = models.DateTimeField(default=timezone.now)
    seconds = models.FloatField(default=0, help_text="At work, all its starts together.")
    ended = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "run"
        constraints = [
            # Two at once would ask a host twice as often as allowed.
            models.UniqueConstraint(
                name="crawl_run_one_for_a_host", fields=["host"], condition=Q(state="running")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_slug} run {self.pk}"

    @property
    def its_source(self) -> CaptchaSource:
        """The source of a run at work. Raises CaptchaSource.DoesNotExist once it was deleted."""
        if self.source is None:
            raise CaptchaSource.DoesNotExist(f"The source {self.source_slug} was deleted.")
        return self.source

    @property
    def dropped(self) -> int:
        return sum(self.drops.values())


class CrawledImage(models.Model):
    """The audit trail: one image that a run took in. It outlives the image."""

    run = models.ForeignKey(CrawlRun, on_delete=models.CASCADE, related_name="images")
    sample = models.ForeignKey(Sample, on_delete=models.SET_NULL, null=True, related_name="crawled")
    sha256 = models.CharField("SHA-256 of the file", max_length=64)
    url = models.CharField("URL", max_length=2000)
    fetched = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        verbose_name = "crawled image"
        constraints = [models.UniqueConstraint(name="crawled_image_once", fields=["run", "sha256"])]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} of {self.run}"
