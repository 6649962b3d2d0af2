"""Whether pages find their styles: production names static files by a list that is made beforehand."""

from collections.abc import Sequence
from typing import Any

from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.checks import CheckMessage, Error, register

NOT_COLLECTED = "static files were not collected: manage.py collectstatic"


def are_missing() -> bool:
    """Whether every page would fail for want of the list, which each process reads once, at its start."""
    storage: object = staticfiles_storage
    return isinstance(storage, ManifestFilesMixin) and not storage.hashed_files


@register(deploy=True)
def check_collected(**kwargs: Any) -> Sequence[CheckMessage]:
    """Run by ``check --deploy``."""
    if not are_missing():
        return []
    hint = "Solving needs none of them; each page for a browser does."
    return [Error(f"The {NOT_COLLECTED}.", hint=hint, id="captcha_site.E001")]
