"""Types of customers across the apps: reports pay nobody back, figures and checks name no private type."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from prometheus_client import generate_latest

from accounts import credits, tokens
from accounts.models import User
from labeling.models import Sample
from labeling.services import resolve
from labeling.tests.conftest import drawn
from labeling.training import promote_and_read
from ml import registry
from ml.models import CaptchaType
from own_types import trainings
from own_types.tests.conftest import (
    _no_launch,
    _own_places,
    ada,
    eve,
    gate,
    make_customer,
    order,
    readers,
    run_training,
)
from solving.models import SolveReport

__all__ = ["_no_launch", "_own_places", "ada", "eve", "gate", "make_customer", "readers", "run_training"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("readers", "_no_launch")]


@pytest.fixture
def served(ada: User, gate: CaptchaType, run_training: Callable[..., None]) -> CaptchaType:
    run_training(order(ada, gate), text="A0")
    trainings.settle_all()
    promote_and_read(captcha_type=gate, number=1, reason="", force=False, by=ada)
    registry.reset()
    return gate


def client_of(user: User) -> Client:
    return Client(headers={"authorization": f"Bearer {tokens.access_token(user=user)}"})


def solve(user: User, captcha_type: CaptchaType) -> Any:
    image = SimpleUploadedFile("a.png", drawn("B7"))
    answer = client_of(user).post("/api/v1/solves", {"image": image, "captcha_type": captcha_type.slug})
    return answer.json()


def test_nobody_pays_their_own_solves_back(ada: User, served: CaptchaType, settings: Any) -> None:
    answer = solve(ada, served)
    balance = credits.balance(ada)
    for at_once in (False, True):
        settings.REFUND_REPORTS_AT_ONCE = at_once
        report = {"verdict": "incorrect", "correction": "B7"}
        reported = client_of(ada).post(
            f"/api/v1/solves/{answer['id']}/report", report, content_type="application/json"
        )
        assert reported.status_code == 200, reported.content
        resolve(sample=Sample.objects.get(reported=True), person=ada, text="B7")
        call_command("settle_reports")
        assert SolveReport.objects.get().state == "confirmed"
        assert credits.balance(ada) == balance
        Sample.objects.filter(reported=True).delete()
        answer = solve(ada, served)
        balance = credits.balance(ada)
        SolveReport.objects.all().delete()


def test_no_figure_and_no_check_names_a_private_type(ada: User, served: CaptchaType, client: Client) -> None:
    assert solve(ada, served)["captcha_type"] == served.slug
    assert served.slug not in generate_latest().decode()
    (served.versions.get().path / "reader.onnx").write_bytes(b"damaged")
    registry.reset()
    assert "problems" not in client.get("/readyz").json()  # nobody asked for it yet
    solve(ada, served)
    told = client.get("/readyz")
    assert told.status_code == 200
    assert told.json()["problems"] == ["a model of a private type cannot be loaded"]
    assert served.slug not in told.content.decode()
