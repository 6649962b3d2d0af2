"""What is written to the log: lines for people, or a JSON object a line for programs that collect logs.

Nothing of a request's body, headers or query is ever logged, and an address only by its route: a path may
hold a token, such as that of a password's reset. What belongs to one request carries its id.
"""

import json
import logging
import re
import secrets
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that this thread is at; empty outside of requests."""

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def id_for(given: str) -> str:
    """The id that a proxy gave the request, where it is one, else a new one."""
    return given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(8)


class JsonLines(logging.Formatter):
    """One JSON object a line. Of what a record carries besides its message, `fields` alone is written."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identity := request_id.get():
            line["request_id"] = identity
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """The same for people."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = getattr(record, "fields", {}) | ({"request": request_id.get()} if request_id.get() else {})
        return " ".join([line, *(f"{name}={value}" for name, value in fields.items())])


class RoutesForPaths(logging.Filter):
    """Django's own records name the path; the route says the same without what may be secret in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        path = getattr(request, "path", None)
        if path is not None and isinstance(record.args, tuple):
            shown = route_of(request)
            record.args = tuple(shown if argument == path else argument for argument in record.args)
        return True


def route_of(request: Any) -> str:
    """The pattern that matched, such as ``api/v1/solves/<int:pk>``; the root's is empty, as Django has it."""
    match = getattr(request, "resolver_match", None)
    return "(none)" if match is None else str(match.route)


def configuration(*, style: str, level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`, of Django and of gunicorn alike. `style` is ``json`` or ``line``."""
    formatter = "captcha_site.logs.JsonLines" if style == "json" else "captcha_site.logs.Lines"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": formatter}},
        "filters": {"routes": {"()": "captcha_site.logs.RoutesForPaths"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["routes"]}
        },
        "root": {"handlers": ["console"], "level": level},
    }
