"""The shapes of requests and answers, for the OpenAPI schema; `history.describe` fills the answers."""

from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from ml.recognition.decoding import NUMERIC
from solving import hints, history
from solving.models import MAX_ID, Solve, SolveReport
from solving.services import MAX_BATCH

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(3000, 1, 1)
_MONTH = timedelta(days=29)


class CharacterSerializer(serializers.Serializer[Any]):
    char = serializers.CharField()
    confidence = serializers.FloatField(min_value=0, max_value=1)


class SolveSerializer(serializers.Serializer[Solve]):
    id = serializers.IntegerField(min_value=1, max_value=MAX_ID)
    text = serializers.CharField(help_text="What is written on the image: `33+2=?`.")
    answer = serializers.CharField(help_text="What to type: `35`.")
    captcha_type = serializers.CharField(
        help_text="The type that it was read as; `general` for no known one."
    )
    confidence = serializers.FloatField(
        min_value=0, max_value=1, allow_null=True, help_text="Probability that the whole text is right."
    )
    characters = CharacterSerializer(many=True)
    model_version = serializers.CharField(help_text="The reader, as SLUG/VERSION.")
    charged = serializers.IntegerField(min_value=0, help_text="Credits.")
    elapsed_ms = serializers.FloatField(help_text="Time of decoding and reading.")


class SolvedSerializer(SolveSerializer):
    balance = serializers.IntegerField(min_value=0, help_text="Credits that are left.")


class PastSolveSerializer(SolveSerializer):
    outcome = serializers.ChoiceField(choices=Solve.Outcome.choices)
    reason_code = serializers.CharField(help_text="Why it was refused; empty for a solved one.")
    reason = serializers.CharField()
    created = serializers.DateTimeField()

    def to_representation(self, solve: Solve) -> dict[str, Any]:
        return history.describe_past(solve)


class HintsSerializer(serializers.Serializer[Any]):
    """Every hint is kept: an answer never violates one."""

    captcha_type = serializers.RegexField(
        r"^[a-z][a-z0-9_]{1,62}$", required=False, help_text="Read it as this type instead of deciding."
    )
    numeric = serializers.ChoiceField(
        choices=NUMERIC,
        required=False,
        help_text="`digits` or `letters` alone, `alphanumeric`: both may occur, `both`: both do occur.",
    )
    min_length = serializers.IntegerField(min_value=1, max_value=hints.MAX_LENGTH, required=False)
    max_length = serializers.IntegerField(min_value=1, max_value=hints.MAX_LENGTH, required=False)
    case = serializers.ChoiceField(choices=hints.CASE, required=False)
    alphabet = serializers.CharField(
        max_length=hints.MAX_ALPHABET, required=False, help_text="The characters that may occur."
    )
    math = serializers.BooleanField(
        required=False, help_text="The image shows a sum; the other hints then hold for its value."
    )
    min_confidence = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="Refuse, uncharged, what is less certain."
    )


class ImageFormSerializer(HintsSerializer):
    image = serializers.FileField(help_text="JPEG, PNG, GIF, BMP or WebP.")


class ImageJsonSerializer(HintsSerializer):
    image = serializers.CharField(help_text="The file's bytes in base64.")


class BatchFormSerializer(HintsSerializer):
    image = serializers.ListField(
        child=serializers.FileField(), min_length=1, max_length=MAX_BATCH, help_text="The part, repeated."
    )


class BatchJsonSerializer(serializers.Serializer[Any]):
    images = serializers.ListField(child=ImageJsonSerializer(), min_length=1, max_length=MAX_BATCH)


class ItemErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="As of a problem: `unsolvable`, `image_truncated`, …")
    detail = serializers.CharField()


class BatchItemSerializer(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(
        choices=("solved", "refused", "failed"), help_text="Only what is solved costs anything."
    )
    solve = SolveSerializer(allow_null=True, help_text="As in the history; null where it failed.")
    error = ItemErrorSerializer(allow_null=True, help_text="Null where it is solved.")


class BatchSerializer(serializers.Serializer[Any]):
    solves = BatchItemSerializer(many=True, help_text="In the order of the images.")
    charged = serializers.IntegerField(min_value=0, help_text="Credits.")
    balance = serializers.IntegerField(min_value=0, help_text="Credits that are left.")


class NewReportSerializer(serializers.Serializer[Any]):
    verdict = serializers.ChoiceField(choices=SolveReport.Verdict.choices)
    correction = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        allow_blank=True,
        allow_null=True,
        help_text="What it shows, if you know.",
    )

    def validate_correction(self, value: str | None) -> str:
        return value or ""


class ReportSerializer(serializers.ModelSerializer[SolveReport]):
    solve = serializers.IntegerField(source="pk", read_only=True, help_text="The solve's id.")

    class Meta:
        model = SolveReport
        fields = ["solve", "verdict", "correction", "state", "decided_text", "refunded", "created", "decided"]
        read_only_fields = fields


class FiledReportSerializer(ReportSerializer):
    notice = serializers.CharField(
        read_only=True, help_text="Said to users whose reports mostly turn out wrong; else empty."
    )

    class Meta(ReportSerializer.Meta):
        fields = [*ReportSerializer.Meta.fields, "notice"]
        read_only_fields = fields


class PeriodSerializer(serializers.Serializer[Any]):
    """The query of the usage: thirty days up to today, if it says nothing."""

    MOST_DAYS = 366

    start = serializers.DateField(required=False, help_text="First day, in UTC.")
    end = serializers.DateField(required=False, help_text="Last day; at most 366 days in all.")
    format = serializers.ChoiceField(choices=("json", "csv"), default="json")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("start", "end"):
            if name in attrs and not _FIRST_DAY <= attrs[name] < _LAST_DAY:
                raise serializers.ValidationError(
                    {name: f"Give a day from {_FIRST_DAY.year} to {_LAST_DAY.year - 1}."}
                )
        today = timezone.now().date()
        end = attrs.setdefault("end", max(attrs.get("start", today), today))
        start = attrs.setdefault("start", max(end, _FIRST_DAY + _MONTH) - _MONTH)
        if start > end:
            raise serializers.ValidationError("The first day must come before the last one.")
        if (end - start).days >= self.MOST_DAYS:
            raise serializers.ValidationError(f"Ask for at most {self.MOST_DAYS} days at once.")
        return attrs


class UsageRowSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    captcha_type = serializers.CharField(help_text="Empty for a refusal before the type was known.")
    outcome = serializers.ChoiceField(choices=Solve.Outcome.choices)
    solves = serializers.IntegerField(min_value=0)
    charged = serializers.IntegerField(min_value=0, help_text="Credits.")


class UsageSerializer(serializers.Serializer[Any]):
    start = serializers.DateField()
    end = serializers.DateField()
    rows = UsageRowSerializer(many=True)
    charged = serializers.IntegerField(min_value=0, help_text="Credits, in all.")
    refunded = serializers.IntegerField(min_value=0, help_text="Credits that came back.")
    balance = serializers.IntegerField(min_value=0, help_text="Credits that are left.")


class OriginalFormSerializer(serializers.Serializer[Any]):
    captcha_image = serializers.FileField(help_text="JPEG, PNG, GIF, BMP or WebP.")


class DetailSerializer(serializers.Serializer[Any]):
    detail = serializers.CharField(help_text="Begins with `Oops!` and says whether credits were taken.")


class AccuracySerializer(serializers.Serializer[Any]):
    exact_match = serializers.FloatField(help_text="Share of texts read right, on images never trained on.")
    low = serializers.FloatField(help_text="Lower end of the 95 % interval (Wilson).")
    high = serializers.FloatField(help_text="Upper end.")
    n = serializers.IntegerField(help_text="How many images that was measured on.")


class CaptchaTypeSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    example = serializers.CharField(help_text="What may be written on such an image.")
    alphabet = serializers.CharField(help_text="Every character that may be written on it.")
    min_length = serializers.IntegerField(allow_null=True)
    max_length = serializers.IntegerField(allow_null=True)
    case_sensitive = serializers.BooleanField()
    arithmetic = serializers.BooleanField(help_text="The answer is the value of what is written.")
    private = serializers.BooleanField(help_text="Seen and used by you alone.")
    model_version = serializers.CharField()
    accuracy = AccuracySerializer(allow_null=True)
