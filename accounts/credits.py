"""The only place that writes a balance or a ledger entry.

Every function changes a balance and writes the entry that explains it in one transaction, so that
``balance == sum of the account's entries`` holds at every commit.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, models, transaction
from django.utils import timezone

from accounts.errors import AccountError
from accounts.models import CreditAccount, LedgerEntry, User

# Far above any real purchase, and far enough below 2**63 that no sum of them overflows a column.
MAX_AMOUNT = 1_000_000_000

_DEBIT = """
    UPDATE accounts_creditaccount SET balance = balance - %s, last_charged = %s
    WHERE id = %s AND balance >= %s RETURNING balance"""
_ENTRY = """
    INSERT INTO accounts_ledgerentry
        (account_id, amount, balance_after, kind, reference, reason, actor, created)"""
_ENTRY_OF_DEBIT = " ".join(
    [_ENTRY, "SELECT %s, %s, balance, %s, %s, '', '', %s FROM debited RETURNING balance_after"]
)
# Values that the driver writes as their column holds them: preparing each by its field takes 0.06 ms a solve.
_SENT_AS_IS = frozenset({str, int, float, type(None)})


class InsufficientCredits(AccountError):
    """A debit would take the balance below zero. Nothing was taken."""

    status = 402
    code = "insufficient_credits"

    def __init__(self, *, balance: int, price: int) -> None:
        self.balance = balance
        self.price = price
        super().__init__(f"The balance is {balance} credits; {price} are needed.")

    @property
    def extensions(self) -> dict[str, Any]:
        return {"balance": self.balance, "price": self.price}


class AlreadyGranted(AccountError):
    """A grant with the same reference was made before. Nothing was changed."""

    status = 409
    code = "already_granted"

    def __init__(self) -> None:
        super().__init__("This change was already made.")


def charge(
    *,
    account_id: int,
    amount: int,
    reference: str,
    kind: str = LedgerEntry.Kind.CHARGE,
    bought: models.Model | None = None,
) -> int:
    """Take ``amount`` > 0 credits and return the new balance.

    ``bought`` is a new row, such as a solve, that is inserted if and only if the credits are taken.
    A transaction of the caller's holds the account's row from here to its end: charge last, commit at once.
    Raises InsufficientCredits.
    """
    if not 0 < amount <= MAX_AMOUNT:
        raise ValueError(f"a charge is between 1 and {MAX_AMOUNT} credits, not {amount}")
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    debit = [amount, now, account_id, amount]
    entry = [account_id, -amount, str(kind), reference, now]
    charged = _charge_at_once if connection.vendor == "postgresql" else _charge_in_steps
    balance = charged(debit, entry, bought)
    if balance is None:
        raise InsufficientCredits(balance=_balance_of(account_id), price=amount)
    return balance


def _charge_at_once(debit: list[Any], entry: list[Any], bought: models.Model | None) -> int | None:
    """Debit, entry and bought row in one statement, atomic by itself; ORM calls make five round trips.

    Measured: 0.3 ms of CPU instead of 0.7, and the account's row is locked for no longer than its execution.
    """
    values = debit if bought is None else [*debit, *_values_of(bought)]
    with connection.cursor() as cursor:
        cursor.execute(_charge_statement(None if bought is None else type(bought)), [*values, *entry])
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _charge_in_steps(debit: list[Any], entry: list[Any], bought: models.Model | None) -> int | None:
    """The same in one transaction, for a database without changes inside of WITH."""
    # No savepoint: nothing is written when it is refused, and a savepoint would be two more statements.
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(_DEBIT, debit)
        row = cursor.fetchone()
        if row is None:
            return None
        account_id, amount, *rest = entry
        values = [account_id, amount, row[0], *rest]
        cursor.execute(f"{_ENTRY} VALUES (%s, %s, %s, %s, %s, '', '', %s)", values)
        if bought is not None:
            bought.save(force_insert=True)
    return int(row[0])


def _values_of(row: models.Model) -> list[Any]:
    """What is inserted for a row with a primary key of its own, in the order of its columns."""
    database = connections[DEFAULT_DB_ALIAS]
    values = []
    for field in row._meta.local_concrete_fields:
        value = field.pre_save(row, add=True)
        if type(value) not in _SENT_AS_IS or isinstance(field, models.JSONField):
            value = field.get_db_prep_save(value, database)
        values.append(value)
    return values


@lru_cache
def _charge_statement(bought: type[models.Model] | None) -> str:
    """Debit, entry, and the insertion of a row of that model for each row of ``debited`` (one or none)."""
    changes = [f"debited AS ({_DEBIT})"]
    if bought is not None:
        changes.append(f"bought AS ({_insert_into(bought)})")
    return f"WITH {', '.join(changes)} {_ENTRY_OF_DEBIT}"


def _insert_into(model: type[models.Model]) -> str:
    quote = connection.ops.quote_name
    fields = model._meta.local_concrete_fields
    columns = ", ".join(quote(str(field.column)) for field in fields)
    # In a SELECT a bare parameter would be a text. Texts need no cast, and one to varchar(n) would cut them.
    selected = ", ".join(
        "%s"
        if isinstance(field, (models.CharField, models.TextField))
        else f"%s::{field.cast_db_type(connection)}"
        for field in fields
    )
    table = quote(model._meta.db_table)
    return f"INSERT INTO {table} ({columns}) SELECT {selected} FROM debited"  # noqa: S608 (the model's names)


def charge_each(*, account_id: int, price: int, references: Sequence[str]) -> tuple[int, int]:
    """Charge ``price`` once for each reference, in order, as far as the balance reaches.

    Returns how many were charged (the first ones) and the new balance; one entry is written for each.
    """
    if not 0 < price <= MAX_AMOUNT:
        raise ValueError(f"a price is between 1 and {MAX_AMOUNT} credits, not {price}")
    with transaction.atomic():
        account = CreditAccount.objects.select_for_update().only("balance").get(id=account_id)
        paid = min(len(references), account.balance // price)
        if not paid:
            return 0, account.balance
        now = timezone.now()
        balance_before = account.balance
        balance_after = _add(account_id=account_id, amount=-price * paid, last_charged=now)
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                account_id=account_id,
                amount=-price,
                balance_after=balance_before - price * number,
                kind=LedgerEntry.Kind.CHARGE,
                reference=reference,
                created=now,
            )
            for number, reference in enumerate(references[:paid], start=1)
        )
    return paid, balance_after


def refund(*, account_id: int, amount: int, reference: str, reason: str = "", actor: str = "") -> LedgerEntry:
    """Give ``amount`` > 0 charged credits back. The database refuses a second refund of a reference."""
    if not 0 < amount <= MAX_AMOUNT:
        raise ValueError(f"a refund is between 1 and {MAX_AMOUNT} credits, not {amount}")
    if not reference:
        raise ValueError("a refund says what it is for")
    kind = LedgerEntry.Kind.REFUND
    return _enter(account_id, amount, kind, reference=reference, reason=reason, actor=actor)


def grant(*, user: User, amount: int, reason: str, actor: str | User, reference: str = "") -> LedgerEntry:
    """Add credits by a person's decision, or take them with a negative ``amount``.

    Raises InsufficientCredits where the balance would go below zero: never clamped. With a ``reference`` it
    is made once: the second time raises AlreadyGranted.
    """
    if amount == 0 or abs(amount) > MAX_AMOUNT:
        raise ValueError(f"a grant is between 1 and {MAX_AMOUNT} credits, not {amount}")
    if not reason.strip():
        raise ValueError("a grant needs a reason")
    name = actor if isinstance(actor, str) else actor.get_username()
    account_id, kind = user.credit_account.pk, LedgerEntry.Kind.GRANT
    try:
        return _enter(account_id, amount, kind, reference=reference, reason=reason.strip(), actor=name)
    except IntegrityError as error:
        if LedgerEntry.objects.filter(account_id=account_id, kind=kind, reference=reference).exists():
            raise AlreadyGranted from error
        raise


def open_account(*, user: User, gift: int) -> CreditAccount:
    """Put the sign-up gift (0 for none) on the account. Raises AlreadyGranted where there was one."""
    account = user.credit_account
    if gift:
        try:
            account.balance = _enter(account.pk, gift, LedgerEntry.Kind.GIFT).balance_after
        except IntegrityError as error:
            raise AlreadyGranted from error
    return account


def close_account(*, user: User) -> LedgerEntry:
    """Take what is left, write the closing entry, and part the account from its user."""
    with transaction.atomic():
        account = CreditAccount.objects.select_for_update().get(user=user)
        entry = _enter(account.pk, -account.balance, LedgerEntry.Kind.CLOSING)
        CreditAccount.objects.filter(pk=account.pk).update(user=None)
    return entry


def balance(user: User) -> int:
    """The user's balance now, read from the database."""
    return CreditAccount.objects.values_list("balance", flat=True).get(user=user)


def _enter(
    account_id: int, amount: int, kind: str, *, reference: str = "", reason: str = "", actor: str = ""
) -> LedgerEntry:
    """Add ``amount`` (negative to take) to the balance and write the entry."""
    with transaction.atomic():
        return LedgerEntry.objects.create(
            balance_after=_add(account_id=account_id, amount=amount),
            account_id=account_id,
            amount=amount,
            kind=kind,
            reference=reference,
            reason=reason,
            actor=actor,
            created=timezone.now(),
        )


def _add(*, account_id: int, amount: int, last_charged: datetime | None = None) -> int:
    """Change the balance where it stays at zero or above; the new one. Holds the row until the commit."""
    changes = {"balance": models.F("balance") + amount}
    if last_charged is not None:
        changes["last_charged"] = models.Value(last_charged)  # type: ignore[assignment]
    account = CreditAccount.objects.filter(id=account_id, balance__gte=-amount)
    if account.update(**changes) != 1:
        raise InsufficientCredits(balance=_balance_of(account_id), price=-amount)
    return _balance_of(account_id)


def _balance_of(account_id: int) -> int:
    return CreditAccount.objects.values_list("balance", flat=True).get(id=account_id)
