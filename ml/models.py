"""What kinds of captcha there are, and which trained models read them."""

from pathlib import Path

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from ml.recognition.metrics import describe_interval, interval

TYPES_SLUG = "types"
"""Slug of the model that decides a captcha's type."""
GENERAL_SLUG = "general"
"""Slug of the reader for captchas of no known type; `Recognition.captcha_type` carries it too."""
RESERVED_SLUGS = frozenset({TYPES_SLUG, GENERAL_SLUG, "other"})
"""Names that no captcha type may take: the two models above and the type model's label for the rest."""

validate_slug = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]{0,62}$",
    "Up to 63 of a-z, 0-9, _ and -, the first one a letter or digit (it names the folder of the models).",
)


class CaptchaType(models.Model):
    """A scheme of captchas that one reader can be trained for.

    `alphabet` and the lengths describe what may be written on an image of this type. A type with an
    owner is private: it is seen and used by its owner only.
    """

    slug = models.CharField(max_length=63, unique=True, validators=[validate_slug])
    title = models.CharField(max_length=120)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        # Not SET_NULL: without its owner a private type would become public.
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="captcha_types",
        help_text="Empty: a public type. Otherwise only this user sees and uses it.",
    )
    alphabet = models.CharField(
        max_length=200,
        blank=True,
        help_text="Every character that may be written on an image. Empty: not known, any.",
    )
    min_length = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    max_length = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    case_sensitive = models.BooleanField(default=False)
    arithmetic = models.BooleanField(default=False, help_text="The answer is the value of what is written.")
    example = models.CharField(
        max_length=40, blank=True, help_text="What may be written on such an image: 2KXQE"
    )
    active = models.BooleanField(default=True, help_text="An inactive type's reader is not used.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="captcha_type_slug_not_reserved", condition=~Q(slug__in=sorted(RESERVED_SLUGS))
            ),
            models.CheckConstraint(
                name="captcha_type_lengths_ordered",
                condition=Q(min_length__isnull=True)
                | Q(max_length__isnull=True)
                | Q(min_length__lte=models.F("max_length")),
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class ModelVersion(models.Model):
    """One trained model: a folder of files, its spec, and whether it serves."""

    class Kind(models.TextChoices):
        READER = "reader", "reader"
        TYPES = "types", "type model"

    class Origin(models.TextChoices):
        SHIPPED = "shipped", "shipped with the program"
        TRAINED = "trained", "trained here"

    class State(models.TextChoices):
        CANDIDATE = "candidate", "candidate"
        SERVING = "serving", "serving"
        RETIRED = "retired", "retired"

    kind = models.CharField(max_length=6, choices=Kind)
    captcha_type = models.ForeignKey(
        CaptchaType,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="versions",
        help_text="Empty for the general reader and for the type model.",
    )
    slug = models.CharField(max_length=63)
    version = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    origin = models.CharField(max_length=7, choices=Origin)
    folder = models.CharField(max_length=200, help_text="Relative to the root that the origin names.")
    sha256 = models.CharField("SHA-256 of the ONNX file", max_length=64)
    spec_sha256 = models.CharField(
        "SHA-256 of spec.json",
        max_length=64,
        blank=True,
        help_text="Empty for a version that was registered before it was kept; then it is not compared.",
    )
    spec = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    state = models.CharField(max_length=9, choices=State, default=State.CANDIDATE)
    registered_at = models.DateTimeField(
        default=timezone.now, help_text="When the folder was last taken into the registry."
    )
    promoted_at = models.DateTimeField(null=True, blank=True)
    promoted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    load_error = models.TextField(blank=True, help_text="Why a process could not load it when it last tried.")
    shadow_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when it silently reads a share of the traffic."
    )

    class Meta:
        ordering = ["slug", "-version"]
        constraints = [
            models.UniqueConstraint(name="model_version_unique", fields=["slug", "version"]),
            models.UniqueConstraint(
                name="model_version_one_serving_per_slug", fields=["slug"], condition=Q(state="serving")
            ),
            models.CheckConstraint(
                name="model_version_kind_matches_slug",
                condition=Q(kind="types", slug=TYPES_SLUG) | (Q(kind="reader") & ~Q(slug=TYPES_SLUG)),
            ),
            models.CheckConstraint(
                name="model_version_type_matches_slug",
                condition=Q(slug__in=[GENERAL_SLUG, TYPES_SLUG], captcha_type__isnull=True)
                | (~Q(slug__in=[GENERAL_SLUG, TYPES_SLUG]) & Q(captcha_type__isnull=False)),
            ),
            models.CheckConstraint(name="model_version_counts_from_one", condition=Q(version__gte=1)),
            models.UniqueConstraint(
                name="model_version_one_shadow_per_slug",
                fields=["slug"],
                condition=Q(shadow_since__isnull=False),
            ),
            models.CheckConstraint(
                name="model_version_shadow_is_a_reader_that_does_not_serve",
                condition=Q(shadow_since__isnull=True) | (Q(kind="reader") & ~Q(state="serving")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.slug}/{self.version}"

    @property
    def path(self) -> Path:
        """The folder on this machine."""
        return root_of(self.origin) / self.folder


class Promotion(models.Model):
    """One change of what serves under a slug: the log that roll-back reads."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="promotions")
    replaced = models.ForeignKey(
        ModelVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="replaced_by"
    )
    rolled_back = models.BooleanField(default=False, help_text="A return to an earlier version.")
    forced = models.BooleanField(default=False, help_text="Promoted although a check advised against it.")
    grounds = models.TextField(
        blank=True, help_text="What the checks said: the figures it was promoted on, or what was overruled."
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    reason = models.CharField(max_length=300)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} for {self.replaced or 'nothing'}"


class Evaluation(models.Model):
    """How one version did on one set of labelled images that it had not seen.

    `dataset_hash` is over exactly the images that were judged and what was right for each, so that two
    versions with the same hash were asked the same questions.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="evaluations")
    dataset_hash = models.CharField("content hash of the data set", max_length=64)
    split = models.CharField(
        max_length=20,
        default="unseen",
        help_text="Which of the given images: those unseen by the models compared.",
    )
    n = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    right = models.PositiveIntegerField(help_text="Right answers; an image without an answer has none.")
    ece = models.FloatField("calibration error", help_text="Expected calibration error over 15 bins.")
    made_by = models.CharField(max_length=80, help_text="What measured it.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created", "-id"]
        constraints = [
            models.UniqueConstraint(name="evaluation_unique", fields=["version", "dataset_hash", "split"]),
            models.CheckConstraint(
                name="evaluation_right_within_n", condition=Q(n__gte=1, right__lte=models.F("n"))
            ),
        ]

    def __str__(self) -> str:
        return f"{describe_interval(interval(self.right, self.n))}, calibration error {self.ece:.4f}"


class JudgedImage(models.Model):
    """What a version made of one image of an evaluation. The image is named by its hash, not kept."""

    evaluation = models.ForeignKey(Evaluation, on_delete=models.CASCADE, related_name="images")
    data_hash = models.CharField("SHA-256 of the image", max_length=64)
    truth = models.TextField(help_text="What was right; for the type model a type.")
    read = models.TextField(blank=True, help_text="What was answered; empty: nothing.")
    confidence = models.FloatField()
    right = models.BooleanField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.data_hash[:12]}: {self.read or 'nothing'} for {self.truth}"


class ShadowReading(models.Model):
    """What a version in shadow made of one solve, beside what was answered. No image is kept.

    `reference` names the solve and means nothing to this app.
    """

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="shadow_readings")
    reference = models.CharField(max_length=64)
    text = models.TextField(blank=True, help_text="What it read; empty: it would have refused.")
    answer = models.TextField(blank=True, help_text="The text, or the value of the arithmetic.")
    confidence = models.FloatField(null=True)
    served_version = models.CharField(max_length=80, help_text="The reader that answered, as SLUG/VERSION.")
    served_text = models.TextField()
    served_answer = models.TextField()
    agreed = models.BooleanField(help_text="Whether its answer is the one that was given.")
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="shadow_reading_unique", fields=["version", "reference"]),
        ]

    def __str__(self) -> str:
        return f"{self.version} on {self.reference}"


class Confirmation(models.Model):
    """What is known of a solve after the fact: that `text` was right, or that it was not."""

    reference = models.CharField(max_length=64, unique=True)
    text = models.TextField()
    right = models.BooleanField()
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.reference}: {self.text} is {'right' if self.right else 'wrong'}"


def root_of(origin: str) -> Path:
    """The folder below which artifacts of this origin lie, as SLUG/VERSION."""
    if origin == ModelVersion.Origin.SHIPPED:
        return Path(settings.SHIPPED_ARTIFACTS)
    return Path(settings.ARTIFACTS_ROOT)


def checkpoint_of(slug: str) -> Path:
    """Where a training of the slug keeps the state that an interrupted one goes on from."""
    return root_of(ModelVersion.Origin.TRAINED) / ".checkpoints" / f"{slug}.npz"
