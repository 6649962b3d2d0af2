"""From an account page to a reader of one's own over the API; for everybody else the type is not there."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts import api_keys, credits
from accounts.models import User
from labeling.tests.conftest import drawn
from ml.models import CaptchaType
from own_types.models import Training
from own_types.tests.conftest import PRICE, bring, browser_of, entries

pytestmark = pytest.mark.usefixtures("readers", "_no_launch")

FORM = {"title": "The gate", "name": "gate", "accept": "on"}


def page_of(browser: Client, slug: str) -> str:
    return browser.get(f"/accounts/types/{slug}/").content.decode()


def solve(user: User, slug: str) -> Any:
    _, key = api_keys.create(user=user, name="a program")
    return Client().post(
        "/api/v1/solves",
        {"image": SimpleUploadedFile("a.png", drawn("A0")), "captcha_type": slug},
        headers={"authorization": f"Api-Key {key}"},
    )


def test_open_bring_train_promote_and_solve(ada: User, eve: User, run_training: Callable[..., None]) -> None:
    browser = browser_of(ada)
    answer = browser.post("/accounts/types/", FORM)
    captcha_type = CaptchaType.objects.get(owner=ada)
    assert captcha_type.slug == f"u{ada.pk}_gate"
    assert answer["Location"] == f"/accounts/types/{captcha_type.slug}/"
    slug = captcha_type.slug
    assert "0 images with a label are too few" in page_of(browser, slug)

    report = bring(ada, captcha_type)
    assert (report["added"], report["labelled"], report["skipped"]) == (16, 16, [])
    page = page_of(browser, slug)
    assert "of 16 images; " in page
    assert "84 more" in page
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', page)
    assert key is not None
    browser.post(f"/accounts/types/{slug}/train", {"key": key[1]})
    placed = Training.objects.get()
    assert entries(ada) == [("training", -PRICE)]
    assert browser.get(f"/accounts/types/{slug}/training").json()["state"] == "queued"

    run_training(placed, text="A0")
    assert browser.get(f"/accounts/types/{slug}/training").json()["state"] == "succeeded"
    page = page_of(browser, slug)
    assert "Version 1 came out of it." in page
    assert "95 % interval" in page
    assert "198" not in page.split("that it has not seen")[0]
    assert solve(ada, slug).status_code == 422  # nothing serves before its owner says so

    browser.post(f"/accounts/types/{slug}/promote", {"version": "1"})
    assert f"captcha_type={slug}" in page_of(browser, slug)
    from ml import registry

    registry.reset()
    body = solve(ada, slug).json()
    assert (body["text"], body["captcha_type"], body["model_version"]) == ("A0", slug, f"{slug}/1")
    assert credits.balance(ada) == 50 - PRICE - 1
    assert slug in browser.get("/playground").content.decode()

    theirs, none = solve(eve, slug), solve(eve, f"u{ada.pk}_none")
    assert (theirs.status_code, none.status_code) == (422, 422)
    for volatile in ("id", "elapsed_ms"):
        assert theirs.json().pop(volatile, 0) is not None
    assert {k: v for k, v in theirs.json().items() if k != "id"} == {
        k: v for k, v in none.json().items() if k != "id"
    }
    assert slug not in browser_of(eve).get("/playground").content.decode()
    assert entries(eve) == []


def test_the_same_order_twice_is_one_training(ada: User, gate: CaptchaType) -> None:
    browser, key = browser_of(ada), str(uuid.uuid4())
    for _ in range(2):
        browser.post(f"/accounts/types/{gate.slug}/train", {"key": key})
    assert entries(ada) == [("training", -PRICE)]
    assert Training.objects.count() == 1
