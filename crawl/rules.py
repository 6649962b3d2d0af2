"""Which hosts may be asked, and which records of sources make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

if TYPE_CHECKING:
    from crawl.models import CaptchaSource

PORTS = {"http": 80, "https": 443}


def is_allowed(host: str, port: int) -> bool:
    """Whether the operator allowed this host, or this port of it, though its address be not public."""
    return bool({host, f"{host}:{port}", f"[{host}]:{port}"} & set(settings.CRAWL_ALLOWED_HOSTS))


def address_of(url: str) -> tuple[str, int]:
    """Host, in small letters, and port of an HTTP address.

    Raises:
        ValueError: it is none; the message says why.
    """
    parts: SplitResult = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError("must begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no name and password")
    return parts.hostname.lower(), parts.port or PORTS[parts.scheme]


def hosts_of(source: CaptchaSource) -> frozenset[str]:
    """The hosts that a crawl of the source may ask."""
    return frozenset({address_of(source.start_url)[0], *(host.lower() for host in source.hosts)})


def problems_of(source: CaptchaSource) -> dict[str, str]:
    """What is wrong with the record, by field; empty for one that can be tried."""
    found: dict[str, str] = {}
    for name in ("start_url", "truth_url"):
        url = getattr(source, name)
        try:
            if url or name == "start_url":
                address_of(url)
        except ValueError as error:
            found[name] = f"The address {error}."
    if source.start == source.Start.IMAGE and source.image:
        found["image"] = "The start URL answers the image itself: there is nothing to look for."
    if source.start != source.Start.IMAGE and not source.image:
        found["image"] = "Say where the image is."
    if source.again == source.Again.REFRESH and not source.refresh:
        found["refresh"] = "Say where the refresh button's address is."
    if source.again != source.Again.START and source.session == source.Session.FRESH:
        found["again"] = "A new session for each image begins at the start."
    if source.truth and not source.truth_url and _image_comes_alone(source):
        found["truth"] = "The image comes without a page that could tell: give the address that does."
    if source.truth_url and not source.truth:
        found["truth"] = "Say where the text is in what that address answers."
    if source.every_minutes and source.daily_at:
        found["daily_at"] = "Give either the minutes between two runs or the time of day."
    if not _is_list_of_hosts(source.hosts):
        found["hosts"] = 'A list of host names without ports, such as ["img.example.org"].'
    if not _is_form(source.consent_fields):
        found["consent_fields"] = 'Names and values, such as {"agree": "yes"}.'
    return found


def _image_comes_alone(source: CaptchaSource) -> bool:
    return source.start == source.Start.IMAGE or source.again == source.Again.IMAGE


def _is_list_of_hosts(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, str) and one and not set("/@: ") & set(one) for one in value
    )


def _is_form(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
