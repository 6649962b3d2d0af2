"""The dashboard on the admin's first page: what it counts, what needs somebody, who sees it, at what cost."""

import json
import pickle
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from captcha_site.dashboard import Dashboard, dashboard
from crawl.models import CrawlRun
from jobs.models import JobRun
from labeling.models import Assignment as Given
from labeling.models import Membership, Mode, Sample
from ml import registry
from ml.models import CaptchaType, ModelVersion
from ml.services import install_shipped_models
from solving.models import Solve


@pytest.fixture
def admin(db: None, settings: Any) -> User:
    settings.EMAIL_URL = "smtp://mail.example.org"
    cache.clear()
    registry.reset()
    install_shipped_models()
    return User.objects.create_superuser("root", "root@example.org", "x")


def browser_of(user: User) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


def needs_of(user: User) -> str:
    cache.clear()
    return "\n".join(need.text for need in dashboard(user).needs)


def figure(shown: Dashboard, title: str) -> str:
    return next(f"{one.value} {one.detail}" for one in shown.figures if one.title.startswith(title))


def add_trouble(owner: User, number: int) -> None:
    """One of everything that is counted or waits."""
    kind = CaptchaType.objects.create(slug=f"shop{number}", title="Shop", alphabet="AB")
    person = User.objects.create_user(f"labeller{number}", f"labeller{number}@example.org")
    Membership.objects.create(captcha_type=kind, person=person, paused_at=timezone.now())
    sample = Sample.objects.create(
        captcha_type=kind, sha256=f"{number:064}", size=1, width=1, height=1, split="train", status="flagged"
    )
    Given.objects.create(
        sample=sample, person=person, session="00000000-0000-0000-0000-000000000001", purpose="gold",
        mode=Mode.TYPE, expected="A", right=number % 2 == 0, answered_at=timezone.now(),
    )  # fmt: skip
    JobRun.objects.create(kind="prune", state="failed", outcome="no disk", finished=timezone.now())
    JobRun.objects.create(kind="prune", created=timezone.now() - timedelta(hours=1))
    CrawlRun.objects.create(
        source_slug=f"shop{number}", host=f"shop{number}.example", state="short", wanted=9, kept=2,
        reason="the site was slow", by="the test", authorisation="ours", ended=timezone.now(),
    )  # fmt: skip
    Solve.objects.create(
        user=owner, account=owner.credit_account, outcome="solved", charged=1, elapsed_ms=1.0, text="A"
    )


def test_all_is_well_at_first(admin: User) -> None:
    assert needs_of(admin) == ""
    assert "Nothing needs you" in browser_of(admin).get("/admin/").content.decode()


def test_what_waits_is_named_with_a_way_to_it(admin: User) -> None:
    for number in range(3):
        add_trouble(admin, number)
    ModelVersion.objects.filter(slug="general", state="serving").update(load_error="the file is gone")
    needs = needs_of(admin)
    for text in (
        "does not load: the file is gone", "no disk", "does a worker run?", "2 of 9 images",
        "labeller0 was paused", "3 flagged images",
    ):  # fmt: skip
        assert text in needs
    shown = dashboard(admin)
    client = browser_of(admin)
    for need in shown.needs:
        assert client.get(need.url).status_code == 200
    assert figure(shown, "Solves today").startswith("3 ")
    assert figure(shown, "Hidden checks") == "66.7 % of 3"
    assert figure(shown, "Jobs that wait").startswith("3 ")
    assert "Needs you" in client.get("/admin/").content.decode()


def test_mail_that_cannot_be_sent_is_named(admin: User, settings: Any) -> None:
    settings.EMAIL_URL = ""
    assert "Set EMAIL_URL" in needs_of(admin)


def test_no_model_at_all_is_the_first_need(admin: User) -> None:
    ModelVersion.objects.update(state="retired")
    assert "install_models" in needs_of(admin)


def test_the_number_of_queries_does_not_grow(
    admin: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = browser_of(admin)
    add_trouble(admin, 0)
    cache.clear()
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/")
    for number in range(1, 8):
        add_trouble(admin, number)
    cache.clear()
    with django_assert_num_queries(len(few)):
        client.get("/admin/")


def test_staff_see_what_they_may_see(admin: User) -> None:
    add_trouble(admin, 0)
    clerk = User.objects.create_user("clerk", "clerk@example.org", is_staff=True)
    assert dashboard(clerk) == Dashboard()
    clerk.user_permissions.add(Permission.objects.get(codename="view_jobrun"))
    shown = dashboard(User.objects.get(pk=clerk.pk))
    assert [one.title for one in shown.figures] == ["Jobs that wait"]
    assert shown.crawls == []


@pytest.mark.django_db
def test_it_is_for_staff_alone() -> None:
    answer = browser_of(User.objects.create_user("eve", "eve@example.org")).get("/admin/")
    assert answer["Location"].startswith("/admin/login/")


def test_the_count_of_solves_can_be_kept_where_dates_cannot(admin: User) -> None:
    """A shared cache holds JSON."""
    add_trouble(admin, 1)
    first = dashboard(admin)
    kept = next(value for key, value in _kept().items() if "dashboard.solves" in key)
    assert json.loads(json.dumps(kept)) == [list(row) for row in kept]
    assert dashboard(admin).days == first.days
    assert first.days[-1][1:] == (1, 0)


def _kept() -> dict[str, Any]:
    return {key: pickle.loads(value) for key, value in cache._cache.items()}  # type: ignore[attr-defined] # noqa: S301
