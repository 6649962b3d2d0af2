"""Figures for Prometheus: who gets them, what they count, and that dashboards and alerts name real ones."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from accounts.models import CreditAccount, User
from jobs.models import JobRun
from ml.models import ModelVersion
from solving.tests.conftest import Caller
from solving.tests.pictures import picture

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "a token for the scraper"


@pytest.fixture
def scrape(settings: Any, db: None) -> Callable[[], dict[tuple[str, ...], float]]:
    """What /metrics tells now: (name, sorted label values…) to value."""
    settings.METRICS_TOKEN = TOKEN

    def scraped() -> dict[tuple[str, ...], float]:
        cache.clear()
        answer = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 200
        families = text_string_to_metric_families(answer.content.decode())
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    return scraped


def test_nobody_gets_them_until_a_token_or_addresses_are_named(client: Client, db: None) -> None:
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", ["Bearer another token", "Bearer", TOKEN[:-1], "Bearer sch\u00f6n"])
def test_another_token_gets_nothing(client: Client, db: None, settings: Any, given: str) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"authorization": given}).status_code == 404


def test_an_allowed_address_needs_no_token(client: Client, db: None, settings: Any) -> None:
    settings.METRICS_ALLOWED = ["10.0.0.0/8"]
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="11.1.2.3").status_code == 404
    forged = client.get("/metrics", REMOTE_ADDR="11.1.2.3", headers={"x-forwarded-for": "10.1.2.3"})
    assert forged.status_code == 404


def test_an_admins_session_is_no_token(db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", "root@example.org", "x"), "accounts.backends.AccountBackend"
    )
    assert client.get("/metrics").status_code == 404


def test_a_solve_is_counted_by_type_and_outcome(caller: Caller, scrape: Callable[[], Any]) -> None:
    def count(figures: Any, *key: str) -> float:
        return float(figures.get(key, 0))

    before = scrape()
    assert caller.solve(picture()).status_code == 200
    assert caller.solve(picture(), captcha_type="blind").status_code == 422
    assert caller.solve(picture(), captcha_type="a_name_that_somebody_wrote").status_code == 422
    after = scrape()

    def grown(*key: str) -> float:
        return count(after, *key) - count(before, *key)

    read_as = caller.get("/api/v1/solves").json()["results"][-1]["captcha_type"]
    assert grown("captcha_solves_total", read_as, "solved", "") == 1
    assert (
        sum(after[key] - count(before, *key) for key in after if key[:2] == ("captcha_solves_total", "")) == 2
    )
    assert grown("captcha_credits_charged_total") == 1
    assert grown("captcha_solve_confidence_count", read_as) == 1
    assert grown("captcha_read_seconds_count") == 3
    assert grown("captcha_http_requests_total", "POST", "api/v1/solves", "200") == 1
    assert grown("captcha_http_requests_total", "POST", "api/v1/solves", "422") == 2
    assert not any("a_name_that_somebody_wrote" in key for key in after)


def test_no_label_is_what_a_caller_wrote(client: Client, scrape: Callable[[], Any]) -> None:
    client.generic("BREW", "/an/invented/path")
    figures = scrape()
    assert figures["captcha_http_requests_total", "other", "(none)", "404"] >= 1
    assert not any("invented" in word for key in figures for word in key)


def test_the_ledgers_drift_is_nought_until_somebody_alters_a_balance(
    user: User, scrape: Callable[[], Any]
) -> None:
    assert scrape()["captcha_ledger_drifting_accounts",] == 0
    CreditAccount.objects.filter(user=user).update(balance=11)
    assert scrape()["captcha_ledger_drifting_accounts",] == 1


def test_models_and_jobs_are_told(readers: None, scrape: Callable[[], Any]) -> None:
    JobRun.objects.create(kind="evaluate")
    JobRun.objects.create(kind="evaluate", state=JobRun.State.FAILED)
    ModelVersion.objects.filter(slug="general").update(load_error="damaged")
    figures = scrape()
    assert figures["captcha_model_serving", "general", "1"] == 1
    assert figures["captcha_model_load_errors",] == 1
    assert figures["captcha_ready",] == 1
    assert figures["captcha_jobs", "queued"] == 1
    assert figures["captcha_job_last_failed", "evaluate"] == 1


def test_counters_are_told_while_the_database_is_gone(
    scrape: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captcha_site.metrics.serving_versions", Mock(side_effect=OperationalError("gone")))
    figures = scrape()
    assert figures["captcha_database_up",] == 0
    assert any(key[0] == "captcha_http_requests_total" for key in scrape())


def test_dashboard_and_alerts_name_figures_that_exist(caller: Caller, scrape: Callable[[], Any]) -> None:
    caller.solve(picture())
    JobRun.objects.create(kind="evaluate", state=JobRun.State.SUCCEEDED, finished="2026-01-01T00:00Z")
    JobRun.objects.create(kind="evaluate", state=JobRun.State.FAILED)
    told = {key[0] for key in scrape()}
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((DEPLOY / "grafana" / "captcha.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    expressions = [rule["expr"] for rule in rules] + [target["expr"] for target in targets]
    named = {name for text in expressions for name in re.findall(r"\bcaptcha_[a-z_]+", text)} - {
        "captcha_type"  # a label
    }
    assert named <= told, named - told
    assert "captcha_ledger_drifting_accounts" in named
    assert all(rule["annotations"]["summary"] for rule in rules)


def test_of_many_runs_the_last_of_each_kind_is_told(readers: None, scrape: Callable[[], Any]) -> None:
    for state in (JobRun.State.FAILED, JobRun.State.SUCCEEDED, JobRun.State.FAILED):
        JobRun.objects.create(kind="prune", state=state, finished="2026-01-01T00:00Z")
        JobRun.objects.create(kind="backup", state=state, finished="2026-01-02T00:00Z")
    JobRun.objects.create(kind="backup", state=JobRun.State.SUCCEEDED, finished="2026-01-03T00:00Z")
    figures = scrape()
    assert figures["captcha_job_last_failed", "prune"] == 1
    assert figures["captcha_job_last_failed", "backup"] == 0
    newest = datetime(2026, 1, 3, tzinfo=UTC).timestamp()
    assert figures["captcha_job_last_success_timestamp_seconds", "backup"] == newest
