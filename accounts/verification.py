"""Whether an e-mail address is its account's own: shown by the link of a mail, and then the gift is paid.

A link is signed, lasts a day and counts once. One account gets one gift, and so does one mailbox, whatever
accounts it has had: the ledger and `GiftedMailbox` each refuse a second one.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import credits, mail
from accounts.errors import AccountError, DuplicateEmail
from accounts.models import EmailVerification, GiftedMailbox, User

LINK_LASTS = timedelta(days=1)
_SALT = "accounts.verification"


class LinkEnded(AccountError):
    """The link was used, is too old, was replaced by one for another address, or was never ours."""

    status = 410
    code = "link_ended"

    def __init__(self) -> None:
        super().__init__("This link has ended.")


@dataclass(frozen=True)
class Confirmed:
    user: User
    gift: int
    """Credits that were paid for it."""


def is_verified(user: User) -> bool:
    return EmailVerification.objects.filter(user=user, email=user.email, verified__isnull=False).exists()


def awaited(user: User) -> EmailVerification | None:
    """The address whose link has not been opened yet."""
    return EmailVerification.objects.filter(user=user, verified=None).first()


def begin(*, user: User, email: str) -> EmailVerification:
    """Wait for the link of this address; that of another one ends."""
    with transaction.atomic():
        EmailVerification.objects.filter(user=user, verified=None).exclude(email=email).delete()
        return EmailVerification.objects.get_or_create(user=user, email=email, verified=None)[0]


def change(*, user: User, email: str) -> None:
    """Another address for the account: at once, or with VERIFY_EMAIL once its link is opened.

    Raises DuplicateEmail, but not with VERIFY_EMAIL: then the address itself is told, and nobody else.
    """
    email = User.objects.normalize_email(email)
    if settings.VERIFY_EMAIL:
        begin(user=user, email=email)
    else:
        _take(user, email)


def send(*, user: User, base_url: str) -> bool:
    """Mail the link that is waited for; False where there is none, or one was sent a moment ago."""
    waiting = awaited(user)
    if waiting is None:
        return False
    now = timezone.now()
    rested = Q(sent=None) | Q(sent__lte=now - timedelta(seconds=mail.SECONDS_BETWEEN))
    if EmailVerification.objects.filter(rested, pk=waiting.pk, verified=None).update(sent=now) != 1:
        return False
    mail.send_later(_send, waiting=waiting, username=user.username, base_url=base_url)
    return True


def of_link(link: str) -> EmailVerification:
    """What a link is about, while it counts. Raises LinkEnded."""
    try:
        pk = int(signing.loads(link, salt=_SALT, max_age=LINK_LASTS))
    except (signing.BadSignature, TypeError, ValueError) as error:
        raise LinkEnded from error
    waiting = EmailVerification.objects.select_related("user").filter(pk=pk, verified=None).first()
    if waiting is None or not waiting.user.is_active:
        raise LinkEnded
    return waiting


def confirm(*, link: str) -> Confirmed:
    """The address is the account's own from now on. Raises LinkEnded and DuplicateEmail."""
    waiting = of_link(link)
    with transaction.atomic():
        return _confirm(waiting)


def confirm_by_reset(*, user: User) -> None:
    """Whoever set a password by a mail's link has shown as much of the address that the mail went to."""
    waiting = awaited(user)
    if waiting is not None and waiting.email == user.email:
        with transaction.atomic():
            _confirm(waiting)


def _confirm(waiting: EmailVerification) -> Confirmed:
    # Of two who open a link at once the second finds no such row, and nothing is paid twice.
    opened = EmailVerification.objects.filter(pk=waiting.pk, verified=None).update(verified=timezone.now())
    if opened != 1:
        raise LinkEnded
    user = waiting.user
    if user.email != waiting.email:
        _take(user, waiting.email)
    return Confirmed(user, gift=_pay_gift(user))


def _take(user: User, email: str) -> None:
    before = user.email
    try:
        with transaction.atomic():
            user.email = email
            user.save(update_fields=["email", "time_updated"])
    except IntegrityError as error:
        user.email = before
        raise DuplicateEmail(email) from error
    transaction.on_commit(
        lambda: mail.send_later(
            mail.send, to=before, name="changed_address_mail", username=user.username, email=email
        )
    )


def _pay_gift(user: User) -> int:
    """The credits that were paid: none where the account or the mailbox had its gift."""
    _, first = GiftedMailbox.objects.get_or_create(digest=_digest(user.email))
    if not first or not settings.SIGNUP_CREDITS:
        return 0
    try:
        with transaction.atomic():
            credits.open_account(user=user, gift=settings.SIGNUP_CREDITS)
    except credits.AlreadyGranted:
        return 0
    return int(settings.SIGNUP_CREDITS)


def _digest(email: str) -> str:
    """Keyed, so that the table tells nobody who had an account. What stands after a + is the same mailbox."""
    name, _, domain = email.lower().rpartition("@")
    mailbox = f"{name.partition('+')[0]}@{domain}"
    return salted_hmac("accounts.gifted_mailbox", mailbox, algorithm="sha256").hexdigest()


def _send(*, waiting: EmailVerification, username: str, base_url: str) -> None:
    """The link; to somebody who has an account already no link, but what was asked for."""
    others = User.objects.annotate(lower_email=Lower("email")).filter(lower_email=waiting.email.lower())
    if others.exclude(pk=waiting.user_id).exists():
        mail.send(to=waiting.email, name="taken_address_mail", username=username)
        return
    path = reverse("confirm-email", args=[signing.dumps(waiting.pk, salt=_SALT)])
    link = f"{base_url.rstrip('/')}{path}"
    mail.send(to=waiting.email, name="verification_mail", username=username, link=link)
