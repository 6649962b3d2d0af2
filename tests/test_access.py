"""Role × address × other people's objects: every address, asked by whom it is none of their business.

Everything of Alice's has the mark in its name or text. A new address with an object in it fails here until it
is told which of her objects that is.
"""

import json
import uuid
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts import api_keys, credits, services, tokens
from accounts.models import ApiKey, LedgerEntry, User
from jobs.models import JobRun
from labeling.importing import add_image
from labeling.models import Assignment, Label, Membership, Sample
from labeling.tests.conftest import drawn
from ml.models import CaptchaType
from solving.models import Solve, SolveReport

MARK = "xyzzymark"
PASSWORD = "a password of theirs"
TURNED_AWAY = {301, 302, 400, 401, 402, 403, 404, 405, 415}
"""A form of the lenient dialects is answered 200 with an error in it: what they say is looked at instead."""
DIALECTS = ("api/captcha", "in.php", "res.php", "createTask", "get", "report", "test")
LINKS = ("accounts/password/", "accounts/email/confirm/", "accounts/sessions/<slug:handle>/end")
"""What stands in these is a secret of its own, and no key of somebody's object."""


@pytest.fixture
def alice(db: None, settings: Any) -> dict[str, Any]:
    """One of everything, by the names that addresses have for it."""
    settings.SIGNUP_CREDITS = 0
    user = services.register_user(username=MARK, email=f"{MARK}@example.org", password=PASSWORD)
    credits.grant(user=user, amount=100, reason=MARK, actor=MARK)
    solve = Solve.objects.create(
        user=user, account=user.credit_account, text=MARK, answer=MARK, outcome="solved", charged=1,
        elapsed_ms=1, confidence=0.9, model_version=f"{MARK}/1", captcha_type=MARK,
    )  # fmt: skip
    key, _ = api_keys.create(user=user, name=MARK)
    captcha_type = CaptchaType.objects.create(slug=f"u{user.pk}_{MARK}", title=MARK, owner=user)
    sample, _ = add_image(captcha_type=captcha_type, data=drawn("AB"), name=f"{MARK}.png", source=MARK)
    held = Assignment.objects.create(sample=sample, person=user, session=uuid.uuid4(), round=1)
    run = JobRun.objects.create(kind="train", arguments=[captcha_type.slug], started_by=user, log=MARK)
    return {
        "user": user, "solve": solve.pk, "key": key.pk, "slug": captcha_type.slug, "sample": sample.pk,
        "assignment": held.pk, "run": run.pk,
    }  # fmt: skip


@pytest.fixture
def strangers(db: None) -> list[Client]:
    """Browsers of nobody, a customer and a labeller of another type, and programs with their tokens."""
    CaptchaType.objects.create(slug="shop", title="Shop")
    clients = [Client()]
    for name in ("customer", "labeller"):
        user = services.register_user(username=name, email=f"{name}@example.org", password=PASSWORD)
        credits.grant(user=user, amount=100, reason="test", actor="test")
        if name == "labeller":
            Membership.objects.create(captcha_type=CaptchaType.objects.get(slug="shop"), person=user)
        browser = Client()
        browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        clients += [browser, Client(headers={"authorization": f"Bearer {tokens.access_token(user=user)}"})]
    return clients


def addresses() -> list[str]:
    """Every route of the project, as it is written, but for the admin's."""

    def walk(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
        for pattern in resolver.url_patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                yield route
            elif not route.startswith("admin/"):
                yield from walk(pattern, route)

    return [route for route in dict.fromkeys(walk(get_resolver())) if not route.startswith("^")]


ALL = addresses()
OF_OBJECTS = [route for route in ALL if "<" in route and not route.startswith(LINKS)]
OPEN = [route for route in ALL if "<" not in route]
FILLED: dict[str, str] = {
    "<solve_id:pk>": "solve", "<row_id:pk>": "key", "<slug:slug>": "slug", "<uuid:assignment>": "assignment",
}  # fmt: skip


def path_of(route: str, alice: dict[str, Any]) -> str:
    """The address of Alice's object."""
    for part, name in FILLED.items():
        route = route.replace(part, str(alice[name]))
    route = route.replace("<slug:to>", "csv")
    route = route.replace("<int:pk>", str(alice["run" if route.startswith("jobs/") else "sample"]))
    assert "<" not in route, f"say which object of Alice's stands in {route}"
    return f"/{route}"


def told(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{body.decode(errors='replace')} {dict(answer.headers)}"


def state(alice: dict[str, Any]) -> Any:
    """All that a stranger must not have changed."""
    user = User.objects.get(pk=alice["user"].pk)
    return (
        user.credit_account.balance,
        LedgerEntry.objects.filter(account=user.credit_account).count(),
        ApiKey.objects.filter(pk=alice["key"]).exists(),
        Solve.objects.filter(user=user).count(),
        SolveReport.objects.count(),
        CaptchaType.objects.filter(slug=alice["slug"]).count(),
        list(Sample.objects.filter(pk=alice["sample"]).values_list("status", "text", "split")),
        Label.objects.count(),
        list(JobRun.objects.values_list("pk", "state", "cancel_requested")),
    )


@pytest.mark.parametrize("route", OF_OBJECTS)
def test_an_object_of_somebody_elses_is_not_there(
    alice: dict[str, Any], strangers: list[Client], route: str
) -> None:
    before = state(alice)
    for client, method in product(strangers, ("get", "post", "delete")):
        answer = getattr(client, method)(path_of(route, alice))
        if not route.startswith(DIALECTS):
            assert answer.status_code in TURNED_AWAY, answer.status_code
        # The address itself is what the stranger wrote, and a log-in page leads back to it.
        assert MARK not in told(answer).replace(alice["slug"], "")
    assert state(alice) == before


@pytest.mark.parametrize("route", OPEN)
def test_nothing_of_somebody_elses_is_on_ones_own_pages(
    alice: dict[str, Any], strangers: list[Client], route: str
) -> None:
    before = state(alice)
    for client in strangers:
        assert MARK not in told(client.get(f"/{route}"))
    assert state(alice) == before


@pytest.mark.parametrize("path", ["/getTaskResult", "/reportIncorrectImageCaptcha", "/reportCorrect"])
def test_a_task_of_somebody_elses_is_not_there(alice: dict[str, Any], path: str) -> None:
    bob = services.register_user(username="bob", email="bob@example.org", password=PASSWORD)
    _, key = api_keys.create(user=bob, name="bob")
    before = state(alice)
    body = json.dumps({"clientKey": key, "taskId": alice["solve"]})
    answer = Client().post(path, body, content_type="application/json")
    assert answer.json()["errorId"] != 0
    assert MARK not in told(answer)
    lenient = Client().get("/res.php", {"key": key, "action": "get", "id": alice["solve"], "json": "1"})
    assert MARK not in told(lenient)
    assert state(alice) == before


def admin_addresses() -> list[str]:
    """The admin's lists and forms."""
    from django.contrib import admin

    names = [(model._meta.app_label, model._meta.model_name) for model in admin.site._registry]
    return [f"/admin/{app}/{model}/{page}" for app, model in names for page in ("", "add/")]


@pytest.mark.parametrize("path", ["/admin/", *admin_addresses()])
def test_the_admin_is_closed_to_all_but_staff(
    alice: dict[str, Any], strangers: list[Client], path: str
) -> None:
    for client in strangers:
        answer = client.get(path)
        assert answer.status_code == 302
        assert "login" in answer.headers["Location"]
