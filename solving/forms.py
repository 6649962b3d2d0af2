"""The playground's form: one image, and what is known of it."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from ml.recognition.decoding import NUMERIC
from ml.recognition.pipeline import GENERAL
from ml.selectors import available_types
from solving import hints
from solving.errors import InvalidParameter
from solving.samples import sample_of
from solving.services import Hints

NUMERIC_TITLES = {
    "digits": "digits alone",
    "letters": "letters alone",
    "alphanumeric": "letters or digits",
    "both": "letters and digits, at least one of each",
}


class PlaygroundForm(forms.Form):
    """`image` and `hints` are there once it is valid."""

    image = forms.FileField(required=False, label="Picture")
    captcha_type = forms.ChoiceField(required=False, label="Type")
    numeric = forms.ChoiceField(
        required=False,
        label="Characters",
        choices=[("", "any"), *((name, NUMERIC_TITLES[name]) for name in NUMERIC)],
    )
    case = forms.ChoiceField(
        required=False, choices=[("", "any"), ("upper", "upper case"), ("lower", "lower case")]
    )
    min_length = forms.CharField(required=False, label="Shortest", max_length=3)
    max_length = forms.CharField(required=False, label="Longest", max_length=3)
    alphabet = forms.CharField(
        required=False,
        label="Only these characters",
        max_length=hints.MAX_ALPHABET,
        strip=False,
        help_text="All that may occur, one after the other.",
    )
    min_confidence = forms.CharField(
        required=False,
        label="Refuse below",
        max_length=20,
        help_text="A confidence from 0 to 1. What is less sure is refused, and free.",
    )
    math = forms.BooleanField(required=False, label="It is a sum, whose value is to be typed")

    def __init__(self, *args: Any, user_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = [(one.slug, one.title) for one in available_types(user_id)]
        self.fields["captcha_type"] = forms.ChoiceField(
            required=False,
            label="Type",
            choices=[("", "find out"), *types, (GENERAL, "no known type")],
        )
        self.fields["image"].widget.attrs["accept"] = "image/png,image/jpeg,image/gif,image/bmp,image/webp"
        for name in ("min_length", "max_length"):
            self.fields[name].widget.attrs |= {"inputmode": "numeric", "size": "4"}
        self.fields["min_confidence"].widget.attrs |= {"inputmode": "decimal", "size": "6"}

    @property
    def image_bytes(self) -> bytes:
        image: bytes = self.cleaned_data["image"]
        return image

    @property
    def hints(self) -> Hints:
        parsed: Hints = self.cleaned_data["hints"]
        return parsed

    @property
    def said(self) -> dict[str, str]:
        """The hints that were given, as a program would send them."""
        given = {name: self.cleaned_data.get(name) for name in hints.NAMES}
        return {name: "true" if value is True else str(value) for name, value in given.items() if value}

    def clean_image(self) -> bytes:
        sample = sample_of(self.data.get("sample", ""))
        if sample is not None:
            return sample.image
        file = self.cleaned_data["image"]
        if not isinstance(file, UploadedFile):
            raise forms.ValidationError("Choose a picture, drop or paste one, or take one of the samples.")
        if (file.size or 0) > settings.MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                f"The file has {file.size:,} bytes; a picture may have {settings.MAX_UPLOAD_BYTES:,}. "
                "Send the captcha alone."
            )
        return file.read()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        given = {name: cleaned.get(name) for name in hints.NAMES if cleaned.get(name)}
        least, most = str(given.get("min_length", "")), str(given.get("max_length", ""))
        if _is_number(least) and _is_number(most) and int(least) > int(most):
            self.add_error("min_length", f"Shortest is {least} and Longest is {most}: turn them round.")
            return cleaned
        try:
            cleaned["hints"] = hints.parse(given)
        except InvalidParameter as error:
            wrong = error.extensions["errors"][0]
            self.add_error(wrong["field"], f"{self.fields[wrong['field']].label} {wrong['message']}")
        return cleaned


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
