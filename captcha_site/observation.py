"""The first and last look at each request: its id, its figures, and a line of the log."""

import logging
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from captcha_site import logs, metrics

logger = logging.getLogger("captcha_site.requests")

HEADER = "X-Request-ID"
SILENT = frozenset({"health_check", "readyz", "metrics"})
"""Routes that machines ask every few seconds: counted, and not logged while they are answered well."""


class ObservationMiddleware:
    """To stand first, so that what the others answer and how long they take is seen too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.log_requests = settings.LOG_REQUESTS

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        identity = logs.id_for(request.META.get("HTTP_X_REQUEST_ID", ""))
        token = logs.request_id.set(identity)
        try:
            response = self.get_response(request)
            seconds = time.perf_counter() - started
            route = logs.route_of(request)
            metrics.observe_request(request.method or "", route, response.status_code, seconds)
            if self.log_requests and (route not in SILENT or response.status_code >= 400):
                self._log(request, route, response.status_code, seconds)
        finally:
            logs.request_id.reset(token)
        response.headers[HEADER] = identity
        return response

    def _log(self, request: HttpRequest, route: str, status: int, seconds: float) -> None:
        fields = {"method": request.method, "route": route, "status": status, "ms": round(seconds * 1000, 2)}
        if (user_id := _user_id(request)) is not None:
            fields["user_id"] = user_id
        logger.info("request", extra={"fields": fields})


def _user_id(request: HttpRequest) -> int | None:
    """Of who was found to ask, without asking the database for the sake of the log."""
    found = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    return found.__dict__.get("id") if found is not None else None
