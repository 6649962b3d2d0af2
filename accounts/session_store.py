"""Sessions that know whose they are, so that people see their own log-ins and end them (SESSION_ENGINE)."""

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

NOTE = "log_in"
"""In the session's data: when it was begun, from where, by what (``own_sessions.note``)."""


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> Any:
        from accounts.models import LoginSession  # this is loaded before the models are

        return LoginSession

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.user_id = data.get(SESSION_KEY)
        for name, value in data.get(NOTE, {}).items():
            setattr(row, name, value)
        return row
