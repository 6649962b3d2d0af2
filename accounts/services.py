"""What changes an account. Faces parse, call these, and answer."""

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Lower
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import credits, departures, login_guard, verification
from accounts.errors import DuplicateEmail, DuplicateUsername, LastAdmin, OwnAccount
from accounts.models import Acceptance, LoginBudget, User


def register_user(*, username: str, email: str, password: str, accepted: str = "") -> User:
    """A new user; the sign-up gift (SIGNUP_CREDITS) is paid now, or with VERIFY_EMAIL by ``verification``.

    ``accepted`` is the version of the acceptable use policy that the person has accepted.

    Raises DuplicateUsername and DuplicateEmail, whatever the case of the letters, and Django's
    ValidationError by field for a name, an address or a password that will not do.
    """
    user = User(username=username, email=User.objects.normalize_email(email))
    _validate_new(user, password)
    _refuse_duplicate(user)
    user.set_password(password)  # some 0.3 s, before any lock is held
    try:
        with transaction.atomic():
            user.save()
            if settings.VERIFY_EMAIL:
                verification.begin(user=user, email=user.email)
            else:
                credits.open_account(user=user, gift=settings.SIGNUP_CREDITS)
            if accepted:
                Acceptance.objects.create(user=user, version=accepted)
    except IntegrityError:  # another sign-up with the same name or address was a moment faster
        _refuse_duplicate(user)
        raise
    return user


def delete_user(*, user: User, actor: User | None) -> None:
    """Delete the person; what was paid and solved stays without a name.

    The account gets its closing entry and belongs to nobody from then on; no ledger entry is touched.
    ``actor`` is None for the command line, and for who deletes the own account on its page. Raises
    OwnAccount and LastAdmin.
    """
    with transaction.atomic():
        _refuse_own_or_last(user=user, actor=actor, verb="delete")
        credits.close_account(user=user)
        OutstandingToken.objects.filter(user=user).delete()
        forget_attempts(user=user)
        departures.announce(user)
        user.delete()


def suspend_user(*, user: User, actor: User | None) -> None:
    """Shut the user out at once, tokens and sessions included. Raises OwnAccount and LastAdmin."""
    with transaction.atomic():
        _refuse_own_or_last(user=user, actor=actor, verb="suspend")
        User.objects.filter(pk=user.pk).update(is_active=False, time_updated=timezone.now())
    user.is_active = False


def reactivate_user(*, user: User) -> None:
    """Let a suspended user in again, with the tokens that have not expired."""
    User.objects.filter(pk=user.pk).update(is_active=True, time_updated=timezone.now())
    user.is_active = True


def change_password(*, user: User, password: str) -> None:
    """A new password, which ends every token and session made with the old one. Raises ValidationError."""
    validate_password(password, user)
    user.set_password(password)
    user.save(update_fields=["password", "time_updated"])
    OutstandingToken.objects.filter(user=user).delete()
    user.login_sessions.all().delete()


def forget_attempts(*, user: User) -> None:
    """Open log-in for the user's name again, and keep no trace of where it was tried from."""
    name = login_guard.attempted_name(None, {"username": user.username})
    networks = user.login_addresses.values_list("network", flat=True)
    keys = [login_guard.counter_of(name), *(login_guard.counter_of(name, network) for network in networks)]
    LoginBudget.objects.filter(key__in=keys).delete()
    AccessAttempt.objects.filter(username=name).delete()


def is_last_admin(user: User) -> bool:
    """Whether no active superuser but this one is left."""
    admins = User.objects.filter(is_superuser=True, is_active=True)
    return user.is_superuser and user.is_active and not admins.exclude(pk=user.pk).exists()


def _validate_new(user: User, password: str) -> None:
    problems: dict[str, list[str]] = {}
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        problems.update(error.message_dict)
    try:
        validate_password(password, user)
    except ValidationError as error:
        problems["password"] = error.messages
    if problems:
        raise ValidationError(problems)


def _refuse_duplicate(user: User) -> None:
    users = User.objects.annotate(lower_username=Lower("username"), lower_email=Lower("email"))
    if users.filter(lower_username=user.username.lower()).exists():
        raise DuplicateUsername(user.username)
    if users.filter(lower_email=user.email.lower()).exists():
        raise DuplicateEmail(user.email)


def _refuse_own_or_last(*, user: User, actor: User | None, verb: str) -> None:
    """Locks every administrator's row, so that two of them cannot remove each other at the same time."""
    if actor is not None and actor.pk == user.pk:
        raise OwnAccount(verb)
    list(User.objects.select_for_update().filter(is_superuser=True).order_by("pk").values_list("pk"))
    user.refresh_from_db(fields=["is_superuser", "is_active"])
    if is_last_admin(user):
        raise LastAdmin
