"""``/metrics`` for Prometheus: what the processes of this server counted, and the state the database tells.

Each worker of gunicorn counts in a file of its own below PROMETHEUS_MULTIPROC_DIR (``gunicorn.conf.py`` makes
the folder, in memory), and whichever worker is asked adds them up. The state is the same whoever is asked.
"""

import hmac
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.db.models import Count, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from accounts.client_address import client_address
from accounts.selectors import accounts_off_their_last_entry
from jobs.kinds import all_kinds
from jobs.models import JobRun
from ml import registry
from ml.selectors import load_errors, serving_versions

REQUESTS = Counter("captcha_http_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "captcha_http_request_seconds",
    "Time from a worker's taking a request to its answer.",
    ["route"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
LEDGER_KEY = "metrics.ledger_drift"


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    REQUESTS.labels(method if method in METHODS else "other", route, status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)


@require_safe
@never_cache
def scrape(request: HttpRequest) -> HttpResponse:
    """The figures, for who holds METRICS_TOKEN or asks from METRICS_ALLOWED; nothing is here for others."""
    if not (_has_token(request) or _is_allowed(request)):
        raise Http404
    return HttpResponse(generate_latest(_counted()) + generate_latest(_state()), CONTENT_TYPE_LATEST)


def _has_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def _is_allowed(request: HttpRequest) -> bool:
    address = client_address(request)
    if address is None:
        return False
    return any(ip_address(address) in network for network in _networks(tuple(settings.METRICS_ALLOWED)))


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


def _counted() -> CollectorRegistry:
    """Of all workers, or of this process where there is only one, as with ``manage.py runserver``."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    counted = CollectorRegistry()
    MultiProcessCollector(counted)
    return counted


def _state() -> CollectorRegistry:
    state = CollectorRegistry()
    state.register(State())
    return state


class State(Collector):
    """Gauges read when they are asked for. A database that does not answer costs these, and is one itself."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        up = GaugeMetricFamily("captcha_database_up", "1 while the database answers.")
        parts: list[Callable[[], list[GaugeMetricFamily]]] = [_models, _jobs, _ledger]
        families: list[GaugeMetricFamily] = []
        try:
            for part in parts:
                families.extend(part())
        except DatabaseError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *families]


def _models() -> list[GaugeMetricFamily]:
    serving = GaugeMetricFamily(
        "captcha_model_serving", "1 for each version that serves.", labels=["slug", "version"]
    )
    for slug, version in serving_versions():
        serving.add_metric([slug, str(version)], 1)
    problems = GaugeMetricFamily(
        "captcha_model_load_errors", "Serving versions that some process could not load."
    )
    problems.add_metric([], len(load_errors()))
    ready = GaugeMetricFamily("captcha_ready", "1 while the process that was asked can read captchas.")
    ready.add_metric([], int(bool(registry.ready())))
    return [serving, problems, ready]


def _jobs() -> list[GaugeMetricFamily]:
    """How much waits and runs; and of each kind when it last succeeded and how the last one ended."""
    unfinished = GaugeMetricFamily("captcha_jobs", "Jobs that have not ended.", labels=["state"])
    states = [JobRun.State.QUEUED, JobRun.State.RUNNING]
    counts = dict(
        JobRun.objects.filter(state__in=states).order_by().values_list("state").annotate(n=Count("pk"))
    )
    for state in states:
        unfinished.add_metric([state], counts.get(state, 0))
    last = GaugeMetricFamily(
        "captcha_job_last_success_timestamp_seconds",
        "When a job of the kind last succeeded.",
        labels=["kind"],
    )
    failed = GaugeMetricFamily(
        "captcha_job_last_failed", "1 where the latest ended job of the kind failed.", labels=["kind"]
    )
    failed_last: dict[str, bool] = {}
    for run in JobRun.objects.filter(pk__in=_latest_jobs()).order_by("pk").only("kind", "state", "finished"):
        failed_last[run.kind] = run.state == JobRun.State.FAILED
        if run.state == JobRun.State.SUCCEEDED and run.finished is not None:
            last.add_metric([run.kind], run.finished.timestamp())
    for kind, how in failed_last.items():
        failed.add_metric([kind], int(how))
    return [unfinished, last, failed]


def _latest_jobs() -> list[Any]:
    """Of each kind the last that succeeded and the last that failed: a look into an index for each."""
    states = (JobRun.State.SUCCEEDED, JobRun.State.FAILED)
    return [
        Subquery(JobRun.objects.filter(state=state, kind=kind.name).order_by("-pk").values("pk")[:1])
        for kind in all_kinds()
        for state in states
    ]


def _ledger() -> list[GaugeMetricFamily]:
    """Balances against their last entries; the sums are compared by the job ``check_ledger``, each night."""
    drift = GaugeMetricFamily(
        "captcha_ledger_drifting_accounts", "Accounts whose balance is not what their last entry says."
    )
    count = cache.get(LEDGER_KEY)
    if count is None:
        count = accounts_off_their_last_entry()
        cache.set(LEDGER_KEY, count, settings.METRICS_LEDGER_SECONDS)
    drift.add_metric([], count)
    return [drift]
