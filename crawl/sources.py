"""Sources as a file: YAML in, records out, and back. Running the same file twice changes nothing.

sources:
  my_shop:
    type: my_shop          # an existing type, or what to make one of: {slug: my_shop, alphabet: ABC…, …}
    start_url: https://shop.example.org/captcha
    image: img#captcha
    authorised_by: Ada Lovelace, ada@example.org
    authorisation: our own shop; ticket 4711
    authorised_until: 2030-12-31
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from crawl import services
from crawl.errors import SourceError
from crawl.models import CaptchaSource
from ml.models import CaptchaType

MAX_BYTES = 1024 * 1024
FIELDS = {
    field.name: field
    for field in CaptchaSource._meta.concrete_fields
    if field.name not in ("id", "slug", "captcha_type", "created")
}
TYPE_FIELDS = ("title", "alphabet", "min_length", "max_length", "case_sensitive", "arithmetic", "example")


@transaction.atomic
def load(text: str) -> list[tuple[CaptchaSource, bool]]:
    """Make or change the sources that the file names; each with whether it is new. All of them or none.

    Raises:
        SourceError: naming the source and the field.
    """
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SourceError(f"This is no YAML: {error}") from error
    sources = parsed.get("sources") if isinstance(parsed, dict) else None
    if not isinstance(sources, dict) or not sources:
        raise SourceError("The file must hold `sources:` and below it a name for each source.")
    return [_load_one(str(slug), record) for slug, record in sources.items()]


def dump(sources: list[CaptchaSource]) -> str:
    """The file of these sources; `load` takes it in again."""
    records = {}
    for source in sources:
        record: dict[str, Any] = {"type": source.captcha_type.slug}
        for name, field in FIELDS.items():
            value = getattr(source, name)
            if value != field.get_default():
                record[name] = value.isoformat() if isinstance(value, time) else value
        records[source.slug] = record
    return yaml.safe_dump({"sources": records}, sort_keys=False, allow_unicode=True)


def _load_one(slug: str, record: object) -> tuple[CaptchaSource, bool]:
    if not isinstance(record, dict):
        raise SourceError(f"{slug}: must hold fields and values.")
    unknown = [str(name) for name in record if name not in (*FIELDS, "type")]
    if unknown:
        raise SourceError(
            f"{slug}: {unknown[0]} is no field of a source; there are: type, {', '.join(FIELDS)}."
        )
    source = CaptchaSource.objects.filter(slug=slug).first()
    new = source is None
    source = source or CaptchaSource(slug=slug)
    source.captcha_type = _type_of(slug, record.get("type"))
    for name, field in FIELDS.items():
        setattr(source, name, record.get(name, field.get_default()))
    try:
        source.full_clean()
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise SourceError(f"{slug}: {name}: {' '.join(problems)}") from error
    source.save()
    services.keep_schedule(source)
    return source, new


def _type_of(slug: str, given: object) -> CaptchaType:
    """An existing type by its slug; a description makes a type that is not there, and changes none."""
    fields: Mapping[str, Any] = given if isinstance(given, dict) else {"slug": given}
    name = str(fields.get("slug") or "")
    existing = CaptchaType.objects.filter(slug=name).first()
    if existing is not None:
        return existing
    unknown = [str(field) for field in fields if field not in ("slug", *TYPE_FIELDS)]
    if unknown or not fields.get("alphabet"):
        problem = f"{unknown[0]} is no field of one" if unknown else "to make it, give slug and alphabet"
        raise SourceError(f"{slug}: there is no type {name or given}; {problem}.")
    made = CaptchaType(**{"title": name, **fields})
    try:
        made.full_clean()
    except ValidationError as error:
        raise SourceError(f"{slug}: type: {' '.join(error.messages)}") from error
    made.save()
    return made
