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


@register.filter
def share(likelihood: float) -> str:
    """Of what is likelier to be wrong: what is hardly possible never reads as 0 %."""
    return "under 0.1 %" if likelihood < 0.001 else f"{likelihood * 100:.1f} %"
