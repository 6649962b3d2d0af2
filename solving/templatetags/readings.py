"""How figures of a reading are written."""

import math

from django import template

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """Rounded down: what is not wholly sure never reads as 100 %."""
    if share is None:
        return "–"
    return f"{math.floor(share * 1000) / 10:.1f} %"
