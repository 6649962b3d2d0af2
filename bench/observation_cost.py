"""CPU time that a solve pays for its request id, its figures and its line of the log, in microseconds.

    python bench/observation_cost.py

Calls the middleware around a view that does nothing, and the counting of a solve, some thousand times each,
with the counters in files as under gunicorn. The least of five runs: what else runs here only adds.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

CALLS = 5000


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="captcha_site.settings",
            ENV_FILE=os.devnull,
            SECRET_KEY=secrets.token_urlsafe(60),
            ALLOWED_HOSTS="localhost",
            DATABASE_URL="sqlite:///:memory:",
            PROMETHEUS_MULTIPROC_DIR=folder,
        )
        measure()


def measure() -> None:
    import django

    django.setup()
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory

    from captcha_site.observation import ObservationMiddleware
    from solving import metrics
    from solving.models import Solve

    class Match:
        route = "api/v1/solves"

    response = HttpResponse()

    def view(request: HttpRequest) -> HttpResponse:
        request.resolver_match = Match  # type: ignore[assignment]
        return response

    middleware = ObservationMiddleware(view)
    request = RequestFactory().post("/api/v1/solves")
    solve = Solve(outcome="solved", captcha_type="a", charged=1, elapsed_ms=1.2, confidence=0.99)
    with Path(os.devnull).open("w") as nowhere, _StderrTo(nowhere.fileno()):
        logged = microseconds(lambda: middleware(request))
    middleware.log_requests = False
    print(f"request id and figures: {microseconds(lambda: middleware(request)):.0f} us")
    print(f"with a line of the log: {logged:.0f} us")
    print(f"the count of a solve:   {microseconds(lambda: metrics.count(solve)):.0f} us")


class _StderrTo:
    """Lets what is logged go to another file, written as ever."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> None:
        self.kept = os.dup(2)
        os.dup2(self.descriptor, 2)

    def __exit__(self, *error: object) -> None:
        os.dup2(self.kept, 2)


def microseconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    runs = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(CALLS):
            call()
        runs.append((time.process_time() - started) / CALLS)
    return min(runs) * 1e6


if __name__ == "__main__":
    main()
