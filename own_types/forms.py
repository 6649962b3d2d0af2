"""The form that opens a private type. What is wrong is said at its field; what was typed stays."""

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import User
from labeling.models import MAX_TEXT
from ml.models import CaptchaType
from own_types import services
from own_types.errors import NameTaken, OwnTypeError

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_LENGTH: dict[str, Any] = {
    "required": False,
    "min_value": 1,
    "max_value": MAX_TEXT,
    "widget": forms.NumberInput(attrs={"inputmode": "numeric", "size": "4"}),
}


class TypeForm(forms.Form):
    title = forms.CharField(max_length=120, help_text="What you call it, such as: log-in of our shop.")
    name = forms.CharField(
        label="Short name",
        max_length=40,
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    alphabet = forms.CharField(
        required=False,
        max_length=200,
        label="Characters that occur",
        help_text="All of them, one after the other. Empty: not known, any.",
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    min_length = forms.IntegerField(
        label="Shortest text", help_text="Characters. Empty: not known.", **_LENGTH
    )
    max_length = forms.IntegerField(
        label="Longest text", help_text="Characters. Empty: not known.", **_LENGTH
    )
    case_sensitive = forms.BooleanField(required=False, label="Capitals and small letters differ")
    accept = forms.BooleanField(
        label="I own these captchas, or am authorised to test them.",
        error_messages={"required": "Types are for captchas that you own or may test: confirm that."},
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields[
            "name"
        ].help_text = f"Small letters, digits and _. Programs name the type {services.prefix_of(user)}NAME."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not _NAME.fullmatch(name):
            raise ValidationError("Only a-z, 0-9 and _, the first one a letter or digit.")
        return name

    def clean_alphabet(self) -> str:
        """Each character once, in the order in which they were typed."""
        text = unicodedata.normalize("NFC", self.cleaned_data["alphabet"])
        unprintable = next((c for c in text if not c.isprintable()), None)
        if unprintable is not None:
            raise ValidationError(f"U+{ord(unprintable):04X} cannot be printed.")
        return "".join(dict.fromkeys("".join(text.split())))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        least, most = cleaned.get("min_length"), cleaned.get("max_length")
        if least and most and least > most:
            self.add_error("max_length", f"The longest text is shorter than the shortest, {least}.")
        return cleaned

    def open(self) -> CaptchaType | None:
        """The new type; None where a field is wrong, at which it is then said."""
        if not self.is_valid():
            return None
        data = {name: value for name, value in self.cleaned_data.items() if name != "accept"}
        try:
            return services.open_type(user=self.user, **data)
        except NameTaken as error:
            self.add_error("name", str(error))
        except OwnTypeError as error:
            self.add_error(None, str(error))
        return None
