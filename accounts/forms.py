"""Forms of the account's pages. What is wrong is said at the field; what was typed stays, passwords apart."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django import forms
from django.contrib.auth import forms as auth_forms
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db.models.functions import Lower
from django.http import HttpRequest
from django_otp.models import Device
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import api_keys, mail, services, terms, two_factor, verification
from accounts.errors import AccountError, DuplicateEmail, DuplicateUsername
from accounts.models import User
from accounts.serializers import NewApiKeySerializer

Checked = TypeVar("Checked")


class SignUpForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=150,
        help_text="Letters, digits and @ . + - _",
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    email = forms.EmailField(
        label="E-mail address",
        help_text="To confirm the account and for a forgotten password; for nothing else.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    password = forms.CharField(
        strip=False,
        help_text=" ".join(password_validators_help_texts()),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    accept = forms.BooleanField(
        label="I have read the acceptable use policy, and accept it.",
        error_messages={"required": "Read the policy and accept it; without that there is no account."},
    )

    def sign_up(self) -> User | None:
        """The new user; None where a field is wrong, at which it is then said."""
        if not self.is_valid():
            return None
        data = self.cleaned_data
        try:
            return services.register_user(
                username=data["username"],
                email=data["email"],
                password=data["password"],
                accepted=terms.VERSION,
            )
        except DuplicateUsername as error:
            self.add_error("username", f"{error} Choose another one, or log in.")
        except DuplicateEmail as error:
            self.add_error("email", f"{error} Log in, or have its password reset.")
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                self.add_error(name, messages)
        return None


class ApiKeyForm(forms.Form):
    """What a key is for; the rules are those of the API."""

    name = forms.CharField(max_length=80, help_text="What it is for, such as the program that uses it.")
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[("solve", "solve, and report answers"), ("read", "read history, account and usage")],
        initial=list(api_keys.SCOPES),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )
    allowed_networks = forms.CharField(
        required=False,
        label="From these addresses alone",
        help_text="Addresses or networks, such as 192.0.2.0/24, one a line. Empty: from anywhere.",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 30}),
    )
    daily_limit = forms.CharField(
        required=False,
        label="Credits it may spend in a day",
        max_length=12,
        help_text="A day of UTC. Empty: no limit.",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "size": "8"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        body = NewApiKeySerializer(
            data={
                "name": cleaned.get("name") or "unnamed",
                "scopes": cleaned.get("scopes") or list(api_keys.SCOPES),
                "allowed_networks": cleaned.get("allowed_networks", "").replace(",", " ").split(),
                "daily_limit": cleaned.get("daily_limit") or None,
            }
        )
        if not body.is_valid():
            for name, messages in body.errors.items():
                self.add_error(name, _texts(messages))
        cleaned["key"] = body.validated_data
        return cleaned

    def create(self, user: User) -> str | None:
        """The new key's text; None where a field is wrong, at which it is then said."""
        if not self.is_valid():
            return None
        try:
            return api_keys.create(user=user, **self.cleaned_data["key"])[1]
        except AccountError as error:
            self.add_error(None, str(error))
            return None


class PersonalForm(forms.Form):
    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user


class OwnPasswordForm(PersonalForm):
    """For what nobody may do who merely found the page open."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        help_text="So that nobody does this who merely found the page open.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise ValidationError("This is not your password.")
        return password


class ChangeEmailForm(OwnPasswordForm):
    email = forms.EmailField(
        label="New e-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    field_order = ("email", "password")

    def change(self) -> bool:
        """Whether the address is taken now or, with VERIFY_EMAIL, once its link is opened."""
        if not self.is_valid():
            return False
        try:
            verification.change(user=self.user, email=self.cleaned_data["email"])
        except DuplicateEmail as error:
            self.add_error("email", str(error))
            return False
        return True


class CodeForm(PersonalForm):
    """A code of the second factor. ``status`` is that of the answer to the form as it was sent."""

    code = forms.CharField(
        max_length=20,
        help_text="The six digits that your app shows now, or a back-up code.",
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "autocapitalize": "none",
                "spellcheck": "false",
                "size": "12",
            }
        ),
    )

    retry_after: int | None = None

    @property
    def status(self) -> int:
        if self.retry_after is not None:
            return 429
        return 400 if self.errors else 200

    def check(self) -> Device | None:
        """The device that the code is of; None where it is wrong, which is then said."""
        return self._said(lambda code: two_factor.check(user=self.user, code=code))

    def _said(self, checked: Callable[[str], Checked]) -> Checked | None:
        try:
            return checked(self.cleaned_data["code"])
        except two_factor.TooManyCodes as error:
            self.retry_after = error.retry_after
            self.add_error("code", str(error))
        except two_factor.WrongCode as error:
            self.add_error("code", str(error))
        return None


class SetUpForm(CodeForm, OwnPasswordForm):
    """The first code of a new app."""

    field_order = ("code", "password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = "The six digits that your app shows now."

    def take(self) -> tuple[TOTPDevice, list[str]] | None:
        """The device that is in use now, and its back-up codes."""
        return self._said(lambda code: two_factor.confirm(user=self.user, code=code))


class _SavesPassword(auth_forms.SetPasswordForm):
    """A new password ends every token made with the old one."""

    user: User

    def save(self, commit: bool = True) -> User:
        services.change_password(user=self.user, password=self.cleaned_data["new_password1"])
        return self.user


class ChangePasswordForm(auth_forms.PasswordChangeForm, _SavesPassword):
    pass


class ResetPasswordForm(_SavesPassword):
    """After the mail's link, which also shows whose address it is.

    It opens log-in again too, where somebody else's guesses had closed it.
    """

    def save(self, commit: bool = True) -> User:
        user = super().save(commit)
        services.forget_attempts(user=user)
        verification.confirm_by_reset(user=user)
        return user


class ForgottenPasswordForm(auth_forms.PasswordResetForm):
    """Looks the address up and sends the mail after the answer, whose time so tells nobody what is known."""

    def get_users(self, email: str) -> Iterable[User]:
        """At most one, and none to whom a mail went a moment ago."""
        users = User.objects.annotate(lower_email=Lower("email")).filter(
            lower_email=email.lower(), is_active=True
        )
        return [
            user
            for user in users
            if user.has_usable_password() and cache.add(f"reset-mail.{user.pk}", 1, mail.SECONDS_BETWEEN)
        ]

    def save(self, *args: Any, request: HttpRequest | None = None, **options: Any) -> None:
        if request is not None:
            options |= {"domain_override": request.get_host(), "use_https": request.is_secure()}
        mail.send_later(super().save, request=None, **options)


def _texts(messages: Any) -> list[str]:
    """The sentences of a serializer's complaint, whatever it is nested in."""
    if isinstance(messages, dict):
        return [text for nested in messages.values() for text in _texts(nested)]
    if isinstance(messages, list):
        return [text for nested in messages for text in _texts(nested)]
    return [str(messages)]
