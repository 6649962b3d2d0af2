"""Forms of the admin."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError

from accounts import services
from accounts.credits import MAX_AMOUNT
from accounts.errors import LastAdmin
from accounts.models import User


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("username", "email")


class ChangeUserForm(UserChangeForm):
    """Refuses what would leave nobody to administer the service."""

    class Meta:
        model = User
        fields = "__all__"

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        stays_admin = all(
            self.cleaned_data.get(field, True) for field in ("is_active", "is_staff", "is_superuser")
        )
        stored = User.objects.filter(pk=self.instance.pk).first()  # the form has changed the instance already
        if stored is not None and not stays_admin and services.is_last_admin(stored):
            raise ValidationError(str(LastAdmin()))
        return cleaned


class NewPasswordForm(AdminPasswordChangeForm):
    """A password set by an administrator ends the user's tokens as one set by the user does."""

    def save(self, commit: bool = True) -> User:
        password = self.cleaned_data.get("password1")
        if not (commit and password):
            return super().save(commit)
        services.change_password(user=self.user, password=password)
        return self.user


def _once() -> str:
    return uuid4().hex


class CreditsForm(forms.Form):
    """Credits to add or take. ``once`` names this change: sent twice, it is made once."""

    amount = forms.IntegerField(
        min_value=-MAX_AMOUNT, max_value=MAX_AMOUNT, help_text="Credits for each user; negative to take them."
    )
    reason = forms.CharField(
        max_length=200,
        help_text="Stays in the ledger and is shown to the user.",
        widget=forms.TextInput({"size": 60}),
    )
    once = forms.RegexField(r"^[0-9a-f]{32}$", initial=_once, widget=forms.HiddenInput)

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount == 0:
            raise ValidationError("Nothing to add or take.")
        return amount


class DeleteUserForm(forms.Form):
    """The user name, typed by hand: the deletion cannot be undone."""

    username = forms.CharField(
        label="User name", widget=forms.TextInput({"autocomplete": "off", "autofocus": True})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        if username != self.user.username:
            raise ValidationError("This is not the name of the user.")
        return username
