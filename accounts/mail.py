"""Mail, sent after the answer, whose time so tells nobody what is known."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db import connections
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 300
"""Two mails of a kind to one person are at least so far apart."""
THREAD = "mail"


def is_sent() -> bool:
    """Else it goes to the log alone, which nobody but an operator reads."""
    return settings.DEBUG or bool(settings.EMAIL_URL)


def send_later(send: Callable[..., Any], **arguments: Any) -> None:
    # No daemon: a server that is told to stop sends what it has promised.
    threading.Thread(target=_send, args=(send, arguments), name=THREAD).start()


def send(*, to: str, name: str, **context: Any) -> None:
    """The mail of the templates ``accounts/NAME_subject.txt`` and ``accounts/NAME.txt``."""
    subject = render_to_string(f"accounts/{name}_subject.txt", context).strip()
    send_mail(subject, render_to_string(f"accounts/{name}.txt", context), None, [to])


def _send(send: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        send(**arguments)
    except OSError:  # what smtplib raises is of this class too
        logger.exception("a mail was not sent")
    finally:
        connections.close_all()
