"""Finding who calls, in one plain query with the credit account: each request asks it.

The ORM takes 0.7 ms of CPU for it, RawQuerySet 0.24, this 0.1.
"""

from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection

from accounts.models import ApiKey, CreditAccount, User

_USER_FIELDS = [field.attname for field in User._meta.concrete_fields]
_LISTED = ("name", "prefix", "created")  # what only the list of keys shows
_KEY_FIELDS = [field.attname for field in ApiKey._meta.concrete_fields if field.name not in _LISTED]
_ACCOUNT = "account.id, account.balance"
_PERSON = ", ".join(f"person.{field.column}" for field in User._meta.concrete_fields)
_KEY = ", ".join(f"key.{name}" for name in _KEY_FIELDS)
_WITH_ACCOUNT = "accounts_user person JOIN accounts_creditaccount account ON account.user_id = person.id"
_BY_ID = f"SELECT {_ACCOUNT}, {_PERSON} FROM {_WITH_ACCOUNT} WHERE person.id = %s"  # noqa: S608 (our columns)
_BY_KEY = (
    f"SELECT {_ACCOUNT}, {_PERSON}, {_KEY} FROM {_WITH_ACCOUNT} "  # noqa: S608 (our columns)
    "JOIN accounts_apikey key ON key.user_id = person.id WHERE key.digest = %s"
)


def user_by_id(user_id: int) -> User | None:
    """The user, with the credit account's id and balance loaded."""
    row = _row(_BY_ID, user_id)
    return None if row is None else _user(row)


def key_by_digest(digest: str) -> ApiKey | None:
    """The API key, with its user and the credit account loaded."""
    row = _row(_BY_KEY, digest)
    if row is None:
        return None
    key = ApiKey.from_db(DEFAULT_DB_ALIAS, _KEY_FIELDS, row[2 + len(_USER_FIELDS) :])
    key.user = _user(row[: 2 + len(_USER_FIELDS)])
    return key


def _row(query: str, parameter: Any) -> list[Any] | None:
    with connection.cursor() as cursor:
        cursor.execute(query, [parameter])
        row = cursor.fetchone()
    if row is None:
        return None
    return [
        value.replace(tzinfo=connection.timezone)
        if isinstance(value, datetime) and value.tzinfo is None  # SQLite knows no time zones
        else value
        for value in row
    ]


def _user(row: list[Any]) -> User:
    account_id, balance, *values = row
    user = User.from_db(DEFAULT_DB_ALIAS, _USER_FIELDS, values)
    account = (account_id, user.pk, balance)
    user.credit_account = CreditAccount.from_db(DEFAULT_DB_ALIAS, ["id", "user_id", "balance"], account)
    return user
