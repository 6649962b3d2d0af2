"""Users, their credit accounts, the ledger that explains every balance, and what guards log-in.

Only ``accounts.credits`` writes a balance or a ledger entry.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models, transaction
from django.db.models.functions import Lower

from accounts.session_store import SessionStore


class AccountUserManager(UserManager["User"]):
    """Finds users whatever the case their name is typed in."""

    def get_by_natural_key(self, username: str | None) -> "User":
        # Lower() on both sides, not iexact: it is what the unique index holds, so PostgreSQL can use it.
        return self.annotate(lower_username=Lower("username")).get(lower_username=(username or "").lower())


class User(AbstractUser):
    """A person or a program that solves captchas here.

    Names are ASCII: SQLite's LOWER knows no other letters, and look-alike names of two alphabets cannot meet.
    """

    username = models.CharField(
        "user name",
        max_length=150,
        unique=True,  # Django's own check asks for it; the constraint on Lower() below is the stricter one
        help_text="At most 150 letters, digits and @ . + - _",
        validators=[ASCIIUsernameValidator()],
    )
    email = models.EmailField("e-mail address")
    time_updated = models.DateTimeField("changed", auto_now=True)

    objects: ClassVar[AccountUserManager] = AccountUserManager()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="user_username_unique",
                violation_error_message="A user with that user name already exists.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_unique",
                violation_error_message="A user with that e-mail address already exists.",
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new user gets an empty credit account, whichever form, command or service made it."""
        if not self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():
            super().save(*args, **kwargs)
            CreditAccount.objects.create(user=self)


class CreditAccount(models.Model):
    """A balance in whole credits. It outlives its user: a deleted user's entries stay, without a name."""

    user = models.OneToOneField(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="credit_account"
    )
    balance = models.BigIntegerField(default=0, editable=False)
    last_charged = models.DateTimeField("last use", null=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(balance__gte=0), name="credit_account_balance_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"account {self.pk}"


class LedgerEntry(models.Model):
    """One change of one balance. Triggers refuse to change or delete it (``accounts.append_only``)."""

    class Kind(models.TextChoices):
        GIFT = "gift"  # at sign-up
        GRANT = "grant"  # added, or taken, by a person
        CHARGE = "charge"  # for a solve
        TRAINING = "training"  # of a reader
        REFUND = "refund"
        CLOSING = "closing"  # its user was deleted

    # No index of its own: the one below begins with the same column.
    account = models.ForeignKey(
        CreditAccount, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    amount = models.BigIntegerField(help_text="Credits added; negative when taken.")
    balance_after = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    reference = models.CharField(max_length=64, blank=True, help_text="What it is for, such as a solve's id.")
    reason = models.CharField(max_length=200, blank=True, help_text="Why a person made it.")
    # Text, not a key: the entry must stay as it is when its actor is deleted.
    actor = models.CharField(max_length=150, blank=True, help_text="User name of the person who made it.")
    created = models.DateTimeField()

    class Meta:
        verbose_name_plural = "ledger entries"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["account", "-id"], name="ledger_entry_account"),
            # For the admin's filter; charges, nearly all of the table, cost nothing in it.
            models.Index(
                fields=["kind", "-id"], name="ledger_entry_kind", condition=~models.Q(kind="charge")
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "reference"],
                name="ledger_entry_grant_once",
                condition=models.Q(kind="grant") & ~models.Q(reference=""),
            ),
            models.UniqueConstraint(
                fields=["account", "reference"],
                name="ledger_entry_training_once",
                condition=models.Q(kind="training"),
            ),
            models.UniqueConstraint(
                fields=["account", "reference"],
                name="ledger_entry_refund_once",
                condition=models.Q(kind="refund") & ~models.Q(reference=""),
            ),
            models.UniqueConstraint(
                fields=["account"], name="ledger_entry_gift_once", condition=models.Q(kind="gift")
            ),
            models.CheckConstraint(
                condition=models.Q(balance_after__gte=0), name="ledger_entry_balance_not_negative"
            ),
            models.CheckConstraint(
                condition=~models.Q(amount=0) | models.Q(kind="closing"),
                name="ledger_entry_changes_something",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount:+d}"


class ApiKey(models.Model):
    """A key that a program calls with, in place of a token; its digest alone is stored (``api_keys``).

    The credits of the day are counted only where there is a limit of the day.
    """

    PREFIX = 6

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key.")
    prefix = models.CharField(max_length=PREFIX, help_text="How the key begins, to tell it from others.")
    can_solve = models.BooleanField()
    can_read = models.BooleanField()
    allowed_networks = models.TextField(blank=True, help_text="Comma-separated; empty: from anywhere.")
    daily_limit = models.BigIntegerField(null=True, help_text="Credits in a day of UTC.")
    spent = models.BigIntegerField(default=0, help_text="Credits, on the day below.")
    spent_on = models.DateField(null=True)
    last_used = models.DateTimeField(null=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(daily_limit__isnull=True) | models.Q(daily_limit__gte=0),
                name="api_key_limit_not_negative",
            ),
            models.CheckConstraint(condition=models.Q(spent__gte=0), name="api_key_spent_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"

    @property
    def scopes(self) -> list[str]:
        return [name for name, held in (("solve", self.can_solve), ("read", self.can_read)) if held]


class Acceptance(models.Model):
    """That a person read and accepted the acceptable use policy, and which version of it (``terms``)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="acceptances", db_index=False)
    version = models.CharField(max_length=20)
    accepted = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "version"], name="acceptance_once_a_version")]

    def __str__(self) -> str:
        return f"{self.version} by {self.user}"


class EmailVerification(models.Model):
    """That an address is a person's own, or will be once the link of a mail was opened (``verification``)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="email_verifications")
    email = models.EmailField("e-mail address")
    sent = models.DateTimeField(null=True, help_text="The last mail with its link.")
    verified = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], name="email_verification_one_open", condition=models.Q(verified=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} of {self.user}"


class LoginSession(AbstractBaseSession):
    """A browser's session, with whose it is once somebody has logged in (``session_store``)."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="login_sessions")
    begun = models.DateTimeField(null=True)
    address = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=100, blank=True)

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        return SessionStore


class TrainingConsent(models.Model):
    """That a person lets models be trained on images that they reported. No row: they do not."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="training_consent")
    given = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"by {self.user}"


class GiftedMailbox(models.Model):
    """That a mailbox brought its sign-up gift. It outlives the account, or each new one would get another."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="Keyed, of the address.")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "gifted mailboxes"

    def __str__(self) -> str:
        return self.digest[:12]


class LoginAddress(models.Model):
    """A network that a user has logged in from: the owner is let in from there while others guess."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_addresses", db_index=False)
    network = models.GenericIPAddressField(help_text="An IPv4 address, or the first address of an IPv6 /64.")
    last_login = models.DateTimeField()

    class Meta:
        verbose_name_plural = "login addresses"
        constraints = [models.UniqueConstraint(fields=["user", "network"], name="login_address_once_a_user")]

    def __str__(self) -> str:
        return self.network


class LoginBudget(models.Model):
    """How many passwords were tried in the current hour for one name (``accounts.login_guard``)."""

    key = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of what is being counted.")
    window_start = models.DateTimeField(db_index=True)
    used = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.used} since {self.window_start:%H:%M}"
