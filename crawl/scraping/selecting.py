"""Where something is in an answer: CSS or XPath of a page, a path of JSON."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cssselect import SelectorError
from parsel import Selector
from scrapy.http import Response, TextResponse
from w3lib.url import parse_data_uri

from crawl.errors import SourceError

_ATTRIBUTES = {"img": "src", "a": "href", "input": "value", "source": "src", "iframe": "src"}
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF")


def is_xpath(where: str) -> bool:
    return where.startswith(("/", "./", "(", "..", "string(", "normalize-space(", "concat("))


def check(where: str, *, of_json: bool) -> None:
    """Raises SourceError for a selector that no answer could be asked with."""
    if of_json or not where:
        return
    try:
        _select(Selector(text="<p></p>"), where)
    except (SelectorError, ValueError) as error:
        raise SourceError(f"{where!r} is neither a CSS selector nor an XPath: {error}") from error


def elements(response: Response, where: str) -> Any:
    """The elements of a page, for a form or a button; empty where there are none."""
    return _select(response.selector, where) if isinstance(response, TextResponse) else []


def value_in(response: Response, where: str) -> str:
    """The text that is there: of JSON a value, of a page an attribute or the text; "" where there is none."""
    if not isinstance(response, TextResponse):
        return ""
    parsed = _json_of(response)
    if parsed is not None and not is_xpath(where):
        return _along(parsed, where)
    for found in _select(response.selector, where):
        value = _value_of(found)
        if value:
            return value
    return ""


def bytes_of(value: str) -> bytes | None:
    """The image that a `data:` URL or base64 holds; None for what is an address."""
    if value[:5].lower() == "data:":
        try:
            return bytes(parse_data_uri(value).data)
        except ValueError:
            return b""
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data.startswith(_SIGNATURES) else None


def _select(selector: Selector, where: str) -> Any:
    return selector.xpath(where) if is_xpath(where) else selector.css(where)


def _value_of(found: Selector) -> str:
    root = found.root
    if isinstance(root, str):  # an attribute or a text
        return root.strip()
    attribute = _ATTRIBUTES.get(getattr(root, "tag", ""), "")
    if attribute:
        return str(found.attrib.get(attribute, "")).strip()
    return str(found.xpath("string()").get(default="")).strip()


def _json_of(response: TextResponse) -> Any:
    if response.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(response.text)
    except (ValueError, RecursionError):
        return None


def _along(value: Any, where: str) -> str:
    for name in where.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return ""
    return str(value) if isinstance(value, (str, int, float)) else ""
