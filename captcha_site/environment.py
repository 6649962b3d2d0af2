"""Typed access to environment variables. A value that does not parse stops the start and is named."""

import os
import re
import secrets
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def boolean(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in TRUE:
        return True
    if value.strip().lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on (1, true, yes) nor off (0, false, no).")


def integer(name: str, default: int, *, minimum: int | None = None) -> int:
    value = os.environ.get(name)
    if value is None or not value.strip():
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from None
    if minimum is not None and number < minimum:
        raise ImproperlyConfigured(f"{name}={number} is below the least value, {minimum}.")
    return number


def words(name: str, default: Iterable[str] = ()) -> list[str]:
    """The comma separated words of ``name``, e.g. ``a.example, b.example``."""
    value = os.environ.get(name)
    if value is None:
        return list(default)
    return [word.strip() for word in value.split(",") if word.strip()]


def choice(name: str, default: str, choices: Iterable[str]) -> str:
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(choices)}.")
    return value


def rate(name: str, default: str) -> str:
    """How often something is allowed, e.g. ``10/hour``."""
    value = text(name, default)
    if not re.fullmatch(r"[1-9]\d*/(second|minute|min|hour|day|[smhd])", value):
        raise ImproperlyConfigured(f"{name}={value!r} is not a rate such as 10/hour, 60/min or 5/second.")
    return value


def networks(name: str) -> list[str]:
    """Addresses and networks, e.g. ``10.0.0.7, 172.16.0.0/12``."""
    values = words(name)
    for value in values:
        try:
            ip_network(value, strict=False)
        except ValueError:
            raise ImproperlyConfigured(f"{name} holds {value!r}, neither an address nor a network.") from None
    return values


def path(name: str, default: Path) -> Path:
    value = text(name)
    return Path(value).expanduser().absolute() if value else default


def database_url(name: str, default: str) -> str:
    value = text(name) or default
    scheme = urlsplit(value).scheme
    if scheme not in {"sqlite", "postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"{name} begins with {scheme or value!r}; use postgresql://user:password@host:5432/name or sqlite:///file."
        )
    return value


def cache_url(name: str) -> str:
    """The address of a Valkey or Redis, as its client wants it; empty where there is none."""
    value = text(name)
    scheme, separator, rest = value.partition("://")
    names = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
    if value and (not separator or scheme not in names):
        raise ImproperlyConfigured(
            f"{name} begins with {scheme!r}; use valkey://host:6379/0 or redis://host:6379/0."
        )
    return f"{names[scheme]}://{rest}" if value else ""


def development_secret_key(file: Path) -> str:
    """A key of this checkout alone, made at its first use: tokens survive a restart, and no key is public."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another worker was faster
        return file.read_text().strip()
    key = secrets.token_urlsafe(50)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(key)
    return key
