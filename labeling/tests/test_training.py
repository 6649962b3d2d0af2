"""From the page of data sets: train, look on, compare, promote; and what the promoted reader prefills."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from jobs import interpreters, services
from jobs.models import JobRun
from labeling import queue
from labeling.datasets import folder_of, freeze
from labeling.models import Dataset, Mode, Sample
from labeling.tests.conftest import Page, browser_of
from labeling.tests.test_page import Labeller, at_the_page
from ml.models import CaptchaType, Evaluation, ModelVersion
from ml.services import register_version
from ml.tests.artifacts import write_reader

__all__ = ["at_the_page"]

MakeSample = Callable[..., Sample]

PAGE = "/labeling/shop/datasets"
TRAIN, STATE, PROMOTE = f"{PAGE}/train", f"{PAGE}/training", f"{PAGE}/promote"


@pytest.fixture(autouse=True)
def _an_interpreter_that_trains(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRAINING_PYTHON = sys.executable
    monkeypatch.setattr(services, "launch", lambda run: None)  # what the process does is another test's


def said(browser: Client, address: str = PAGE) -> str:
    return browser.get(address).content.decode()


def a_version(number: int, text: str, **figures: Any) -> ModelVersion:
    """A trained reader of the type that writes `text`; `figures`: by data set its right answers of 100."""
    from django.conf import settings

    folder = write_reader(Path(settings.ARTIFACTS_ROOT), "shop", number, text=text, metrics={})
    version = register_version(folder=folder)
    for data, right in figures.items():
        Evaluation.objects.create(
            version=version, dataset_hash=data.ljust(64, "0"), n=100, right=right, ece=0.01, made_by="a test"
        )
    return version


def serve(version: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=version.pk).update(state=ModelVersion.State.SERVING)


@pytest.fixture
def private(captcha_type: CaptchaType, ada: Any) -> Any:
    """Ada's own type: no type model needs to know it."""
    CaptchaType.objects.update(owner=ada)
    return ada


def test_whoever_does_not_manage_the_type_meets_a_404(ada: Any, outsider: Any, client: Client) -> None:
    for person in (ada, outsider):
        browser = browser_of(person)
        for address in (TRAIN, PROMOTE):
            assert browser.post(address).status_code == 404
        assert browser.get(STATE).status_code == 404
    assert client.get(STATE).status_code == 404
    assert client.post(TRAIN).status_code == 302
    assert not JobRun.objects.exists()


def test_training_freezes_and_starts_one_run_at_a_time(boss: Any, make_sample: MakeSample) -> None:
    browser = browser_of(boss)
    browser.post(TRAIN)
    assert "no image with an agreed text" in said(browser)
    assert browser.get(STATE).status_code == 404

    make_sample("AB", status=Sample.Status.AGREED)
    browser.post(TRAIN, {"minutes": "10"})
    run = JobRun.objects.get()
    assert (run.kind, run.arguments, run.started_by) == (
        "train a type",
        ["shop", "1", "--minutes", "10"],
        boss,
    )
    assert Dataset.objects.get().number == 1
    assert browser.get(STATE).json()["state"] == "queued"
    browser.post(TRAIN)
    assert "A training of this type is under way." in said(browser)
    assert JobRun.objects.count() == 1


def test_with_nothing_agreed_the_page_says_why_it_cannot_train(boss: Any, make_sample: MakeSample) -> None:
    make_sample("AB")
    page = said(browser_of(boss))
    assert "Nothing can be trained yet: no image has an agreed text." in page
    assert "Lengths" not in page


def test_without_an_interpreter_the_page_shows_what_to_type(
    boss: Any, make_sample: MakeSample, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TRAINING_PYTHON = ""
    monkeypatch.setattr(interpreters, "find_spec", lambda name: None)
    make_sample("AB", status=Sample.Status.AGREED)
    browser = browser_of(boss)
    browser.post("/labeling/shop/datasets/freeze")
    page = said(browser)
    assert "<code>.venv-training/bin/python manage.py train_dataset shop 1</code>" in page
    assert f'action="{TRAIN}"' not in page
    browser.post(TRAIN)
    assert "make training" in said(browser)
    assert not JobRun.objects.exists()


def test_a_better_candidate_is_promoted_and_its_readings_prefill(
    private: Any, make_sample: MakeSample, captcha_type: CaptchaType
) -> None:
    captcha_type.refresh_from_db()
    serve(a_version(1, "OLD1", a=80))
    a_version(2, "NEW2", a=90)
    sample = make_sample()
    browser = browser_of(private)
    page = said(browser)
    assert "80 of 100" in page
    assert "90 of 100" in page
    assert "all the same" not in page
    browser.post(PROMOTE, {"version": "2"})
    assert "shop/2 serves now" in said(browser)
    assert ModelVersion.objects.get(version=2).state == "serving"
    assert JobRun.objects.get().kind == "read samples"

    call_command("read_samples", "shop")
    sample.refresh_from_db()
    assert (sample.prediction, sample.model_version) == ("NEW2", "shop/2")
    given = Page(captcha_type, private, Mode.VERIFY).claim()
    assert [item.prefill for item in given] == ["NEW2"]
    assert (sample.confidence or 0) >= queue.GRID_CONFIDENCE


def test_a_worse_candidate_needs_a_reason(private: Any) -> None:
    serve(a_version(1, "OLD1", a=90))
    a_version(2, "NEW2", a=80)
    browser = browser_of(private)
    assert "Fewer right answers" in said(browser)
    browser.post(PROMOTE, {"version": "2"})
    browser.post(PROMOTE, {"version": "2", "force": "1", "reason": "  "})
    assert ModelVersion.objects.get(version=2).state == "candidate"
    browser.post(PROMOTE, {"version": "2", "force": "1", "reason": "the old images are gone"})
    assert ModelVersion.objects.get(version=2).state == "serving"
    assert "Candidate" not in said(browser)


def test_of_a_public_type_only_those_who_may_change_models_promote(boss: Any, make_person: Any) -> None:
    a_version(1, "NEW1", a=90)
    browser = browser_of(boss)  # staff, who may label and train
    assert "no type model knows shop" in said(browser).lower()
    assert PROMOTE not in said(browser)
    form = {"version": "1", "force": "1", "reason": "callers name the type"}
    assert browser.post(PROMOTE, form).status_code == 404

    admin = make_person("admin", staff=True)
    admin.is_superuser = True
    admin.save()
    browser = browser_of(admin)
    assert browser.post(PROMOTE, form | {"version": "7"}).status_code == 404
    assert browser.post(PROMOTE, form | {"version": "x"}).status_code == 404
    assert "all the same" not in said(browser)
    browser.post(PROMOTE, {"version": "1"})
    assert ModelVersion.objects.get().state == "serving"


def test_a_candidate_older_than_what_serves_is_not_offered(private: Any) -> None:
    a_version(1, "OLD1", a=80)
    serve(a_version(2, "NEW2", a=90))
    assert "Candidate" not in said(browser_of(private))


def test_what_cannot_be_trained_on_is_named(
    captcha_type: CaptchaType, make_sample: MakeSample, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="no data set 3 of shop"):
        call_command("train_dataset", "shop", "3")
    make_sample("AB", status=Sample.Status.AGREED)
    dataset, _ = freeze(captcha_type=captcha_type)
    image = next((folder_of(dataset) / "images").iterdir())
    image.chmod(0o644)
    image.write_bytes(b"another")
    with pytest.raises(CommandError, match="was changed"):
        call_command("train_dataset", "shop", "1")
    with pytest.raises(CommandError, match="no type nothing"):
        call_command("read_samples", "nothing")


@pytest.mark.django_db(transaction=True)
def test_the_page_shows_curves_that_grow_and_a_button_that_cancels(
    at_the_page: Callable[[Any], Labeller], boss: Any, make_sample: MakeSample
) -> None:
    make_sample("AB", status=Sample.Status.AGREED)
    person = at_the_page(boss)
    page = person.page
    page.goto(f"{person.address}{PAGE}")
    page.get_by_role("button", name="Train").click()
    expect(page.locator("#job-state")).to_have_text("queued")
    run = services.claim(run_id=JobRun.objects.get().pk, host="here", pid=1)
    assert run is not None
    curve = [{"step": 10, "loss": 9.5, "validation exact match": 0.1}]
    services.beat(run, done=20, of=100, line="loss 9.5", log="a <line>", curve=curve)
    expect(page.locator("#job-state")).to_have_text("running")
    expect(page.locator("#job-line")).to_have_text("20 of 100. loss 9.5")
    expect(page.get_by_role("img", name="loss: from 9.5 to 9.5 in 1 points")).to_be_visible()
    curve.append({"step": 20, "loss": 1.25, "validation exact match": 0.75})
    services.beat(run, done=40, of=100, line="loss 1.25", curve=curve)
    expect(page.get_by_role("img", name="loss: from 9.5 to 1.25 in 2 points")).to_be_visible()
    expect(
        page.get_by_role("img", name="validation exact match: from 0.1 to 0.75 in 2 points")
    ).to_be_visible()
    page.get_by_text("The end of its log").click()
    expect(page.locator("#job-log")).to_have_text("a <line>")

    page.goto(f"{person.address}/jobs/{run.pk}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-state")).to_have_text("cancelling")
    page.goto(f"{person.address}{PAGE}")
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()
    JobRun.objects.update(state="cancelled", finished=timezone.now())
    expect(page.get_by_role("button", name="Train")).to_be_visible()  # the page came anew by itself
    assert person.complaints == []
