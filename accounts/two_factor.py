"""The second factor of a log-in: codes of an authenticator app (TOTP), and back-up codes that count once.

The devices are django-otp's, which also makes guessing slow: after each wrong code the wait doubles. Where a
person has a device, the password alone opens no page (``captcha_site.middleware``) and buys no token
(``login``).
"""

import math
from base64 import b32encode
from typing import Any

import segno
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import mail
from accounts.errors import AccountError
from accounts.models import User

BY_CODE = "by_code"
"""Of a token: whether it was bought with a code."""
BACKUP_CODES = 10
DIGITS = 6
"""Of an app's code; a back-up code is longer."""


class CodeNeeded(AccountError):
    """The password was right; the account has a second factor."""

    status = 401
    code = "code_needed"

    def __init__(self) -> None:
        super().__init__("This account has a second factor: send the code of your app as otp.")

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class WrongCode(AccountError):
    status = 401
    code = "wrong_code"

    def __init__(self) -> None:
        super().__init__("That is not the code. A code counts once, and for half a minute or so.")

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class TooManyCodes(AccountError):
    """There were wrong codes. ``retry_after`` is in seconds, and doubles with each."""

    status = 429
    code = "too_many_codes"

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"There were wrong codes before. Wait {retry_after} s, then try the next one.")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class SecondFactorMissing(AccountError):
    """For what staff may do alone: the token was not bought with a code."""

    status = 403
    code = "second_factor_missing"

    def __init__(self) -> None:
        super().__init__(
            "This needs a token that was bought with the code of a second factor. "
            "Set one up on your account's page, then log in with otp."
        )


def device_of(user: User) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user=user, confirmed=True).first()


def has_device(user: User) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_demanded(user: User) -> bool:
    """Whether this person must have one (STAFF_NEEDS_TWO_FACTOR)."""
    return bool(settings.STAFF_NEEDS_TWO_FACTOR and (user.is_staff or user.is_superuser))


def backup_codes_left(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user, device__confirmed=True).count())


def check(*, user: User, code: str) -> Device:
    """The device that the code is of; it is spent. Raises WrongCode and TooManyCodes."""
    code = "".join(code.split()).lower()
    if len(code) == DIGITS:
        return _check(TOTPDevice, user, code)
    return _check(StaticDevice, user, _digest(code))


def begin(*, user: User) -> None:
    """A new secret, which counts once a code of it was given (``confirm``)."""
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=False).delete()
        TOTPDevice.objects.create(user=user, name="app", confirmed=False)


def unconfirmed(user: User) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user=user, confirmed=False).first()


def confirm(*, user: User, code: str) -> tuple[TOTPDevice, list[str]]:
    """Take the new secret into use, in place of the one before: the device and new back-up codes.

    Raises WrongCode and TooManyCodes; then everything stays as it was.
    """
    device = _check(TOTPDevice, user, "".join(code.split()), confirmed=False)
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=True).delete()
        device.confirmed = True
        device.save(update_fields=["confirmed"])
        codes = new_backup_codes(user=user)
    _tell(user, "set up")
    return device, codes


def new_backup_codes(*, user: User) -> list[str]:
    """Codes for when the app is gone, to be shown this once; those before are worth nothing."""
    codes = [StaticToken.random_token() for _ in range(BACKUP_CODES)]
    with transaction.atomic():
        device, _ = StaticDevice.objects.get_or_create(user=user, name="back-up codes", confirmed=True)
        device.token_set.all().delete()
        StaticToken.objects.bulk_create(StaticToken(device=device, token=_digest(code)) for code in codes)
    return codes


def remove(*, user: User) -> bool:
    """Nothing but the password from now on; False where it was so before."""
    with transaction.atomic():
        removed, _ = TOTPDevice.objects.filter(user=user).delete()
        StaticDevice.objects.filter(user=user).delete()
    if removed:
        _tell(user, "removed")
    return bool(removed)


def secret_of(device: TOTPDevice) -> str:
    """The secret as people type it into an app, in groups of four."""
    text = b32encode(device.bin_key).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def picture_of(device: TOTPDevice) -> str:
    """The secret as a QR code: the address of an SVG picture."""
    return segno.make(device.config_url, micro=False).svg_data_uri(scale=5, light="#fff")


def _check(kind: type[Device], user: User, text: str, *, confirmed: bool = True) -> Device:
    """Of codes that arrive together each waits for the one before it: the device's row is locked."""
    limits: dict[str, Any] | None = None
    with transaction.atomic():  # a wrong code must be counted, so nothing is raised in here
        device = kind.objects.select_for_update().filter(user=user, confirmed=confirmed).first()
        right = False
        if device is not None:
            _, limits = device.verify_is_allowed()
            right = limits is None and device.verify_token(text)
    if right:
        return device
    if limits is not None:
        wait = (limits["locked_until"] - timezone.now()).total_seconds()
        raise TooManyCodes(max(1, math.ceil(wait)))
    raise WrongCode


def _digest(code: str) -> str:
    """What is kept of a back-up code, within the 16 characters of django-otp's column."""
    return salted_hmac("accounts.backup_code", code, algorithm="sha256").hexdigest()[:16]


def _tell(user: User, what: str) -> None:
    mail.send_later(mail.send, to=user.email, name="two_factor_mail", username=user.username, what=what)
