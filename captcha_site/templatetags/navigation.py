"""What the header of every page shows, and to whom."""

from typing import Any

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from labeling import selectors

register = template.Library()


@register.simple_tag(takes_context=True)
def nav(context: RequestContext, name: str, text: str, *, within: bool = False) -> SafeString:
    """A link of the header, marked where one is; `within` marks it on the pages below its address too."""
    url, path = reverse(name), getattr(context.get("request"), "path", "")
    here = path == url or (within and path.startswith(url))
    return format_html('<a href="{}"{}>{}</a>', url, SafeString(' aria-current="page"' * here), text)


@register.filter
def labels_something(user: Any) -> bool:
    """Whether there is a type that this person may label: one query for people who are no staff."""
    return bool(user.is_staff or selectors.types_of(user).exists())
