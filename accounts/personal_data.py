"""All that is kept about a person, for them: a zip with a JSON line for each row, whichever app it is of."""

import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from accounts.models import LedgerEntry, User

SECRET = frozenset(
    {
        "password", "digest", "token", "jti", "claim", "body", "request_hash", "key", "session_key",
        "session_data", "log", "host", "pid",
    }
)  # fmt: skip
"""Columns that would open something to whoever finds the file, or tell of the machines of the service."""
README = """Each .jsonl file holds one JSON object a line. account.jsonl is your account, ledger_entries.jsonl
every change of your balance; the others are named after what they hold. Folders hold files of yours.
Passwords, keys and tokens are left out.
"""

Part = Callable[[User, zipfile.ZipFile], None]

_parts: list[Part] = []


def register(part: Part) -> None:
    """Have `part` add what no row of a user's own tells, such as files: `accounts` knows no other app."""
    if part not in _parts:
        _parts.append(part)


def export(user: User) -> IO[bytes]:
    """A temporary file with the zip, read from its beginning; closing it deletes it."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller closes it)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README)
        _write(archive, "account", User.objects.filter(pk=user.pk))
        _write(archive, "ledger_entries", LedgerEntry.objects.filter(account=user.credit_account))
        for relation in User._meta.related_objects:
            model = relation.related_model
            rows = model._base_manager.filter(**{relation.field.name: user})
            name = str(model._meta.verbose_name_plural).lower().replace(" ", "_")
            _write(archive, f"{name}_as_{relation.field.name}", rows)
        for part in _parts:
            part(user, archive)
    file.seek(0)
    return file


def _write(archive: zipfile.ZipFile, name: str, rows: models.QuerySet[Any]) -> None:
    """`name`.jsonl; a row at a time, as a history may hold millions."""
    columns = [field.attname for field in rows.model._meta.concrete_fields if _is_told(field)]
    lines = _lines(rows.order_by("pk").values(*columns).iterator(chunk_size=2000))
    with archive.open(f"{name}.jsonl", "w", force_zip64=True) as stream:
        for line in lines:
            stream.write(line)


def _lines(rows: Iterable[dict[str, Any]]) -> Iterable[bytes]:
    for row in rows:
        yield json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False).encode() + b"\n"


def _is_told(field: Any) -> bool:
    return field.name not in SECRET and not isinstance(field, models.BinaryField)
