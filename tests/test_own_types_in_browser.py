"""The pages of a private type in a real browser: by keys alone, live, in light and dark, on a phone."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from accounts.models import User
from captcha_site.tests.browsing import AXE, TAGS, VIOLATIONS, Visitor
from jobs import services as jobs
from jobs.models import JobRun
from ml import registry
from ml.models import CaptchaType
from own_types import trainings
from own_types.models import Training
from own_types.tests.conftest import (
    TEXTS,
    _no_launch,
    _own_places,
    ada,
    eve,
    gate,
    make_customer,
    opened,
    order,
    readers,
    run_training,
    zipped,
)

__all__ = [
    "_no_launch", "_own_places", "ada", "eve", "gate", "make_customer", "readers", "run_training",
]  # fmt: skip

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("readers", "_no_launch"),
]

MakeVisitor = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Iterator[MakeVisitor]:
    made: list[Visitor] = []

    def make(user: User, **options: Any) -> Visitor:
        made.append(Visitor(chromium, live_server.url, **options))
        made[-1].log_in(user.username)
        return made[-1]

    yield make
    for one in made:
        one.context.close()


def test_from_an_empty_page_to_the_first_answer(
    visit: MakeVisitor, ada: User, run_training: Callable[..., None], tmp_path: Path
) -> None:
    visitor = visit(ada)
    page = visitor.page
    page.get_by_role("link", name="Own types").click()
    expect(page.get_by_text("You have no type yet.")).to_be_visible()
    page.get_by_label("Title").fill("The gate")
    page.get_by_label("Short name").fill("The Gate")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Short name")).to_have_accessible_description(re.compile("Only a-z"))
    expect(page.get_by_label("Title")).to_have_value("The gate")  # what was typed stays
    page.get_by_label("Short name").fill("gate")
    page.get_by_label("I own these captchas").check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The gate", exact=True)).to_be_visible()
    expect(page.get_by_text("Not yet: 0 images with a label are too few")).to_be_visible()

    page.get_by_role("link", name="Bring images").click()
    page.get_by_label("The file names are the labels").check()
    archive = tmp_path / "labels.zip"
    archive.write_bytes(zipped(TEXTS))
    page.get_by_label("Files or a zip").set_input_files(archive)
    expect(page.locator("#state")).to_contain_text("16 added, 0 known already, 16 labelled, 0 left out")

    captcha_type = CaptchaType.objects.get(owner=ada)
    page.goto(f"/accounts/types/{captcha_type.slug}/")
    button = page.get_by_role("button", name="Train for 20 credits")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#job-state")).to_have_text("queued")
    placed = Training.objects.get()
    run = jobs.claim(run_id=JobRun.objects.get().pk, host="here", pid=1)
    assert run is not None
    curve = [{"step": 10, "loss": 9.5}, {"step": 20, "loss": 1.25}]
    jobs.beat(run, done=20, of=100, line="loss 1.25", log="where it lies", curve=curve)
    expect(page.locator("#job-line")).to_have_text("20 of 100. loss 1.25")
    expect(page.get_by_role("img", name="loss: from 9.5 to 1.25 in 2 points")).to_be_visible()
    expect(page.get_by_text("where it lies")).to_have_count(0)
    JobRun.objects.update(state="queued")  # so that the next line may take it up

    run_training(placed, text="A0")
    expect(page.get_by_text("Version 1 came out of it.")).to_be_visible()  # the page came anew by itself
    expect(page.get_by_text("95 % interval").first).to_be_visible()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("heading", name="Solve with it")).to_be_visible()
    registry.reset()
    page.goto("/playground")
    page.get_by_text("What do you know of it?").click()
    page.get_by_label("Type", exact=True).select_option("The gate")
    page.get_by_role("button", name="type B").click()
    expect(page.locator(".answer")).to_have_text("A0")
    # The browser itself notes each answer of 400, which a form with errors has.
    assert [one for one in visitor.complaints if "400 (Bad Request)" not in one] == []


def test_a_cancelled_training_says_that_its_credits_came_back(
    visit: MakeVisitor, ada: User, gate: CaptchaType
) -> None:
    order(ada, gate)
    page = visit(ada).page
    page.goto(f"/accounts/types/{gate.slug}/")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("20 credits came back")).to_be_visible()
    expect(page.get_by_role("button", name="Train for 20 credits")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_every_page_is_accessible_and_fits(
    visit: MakeVisitor,
    ada: User,
    eve: User,
    gate: CaptchaType,
    run_training: Callable[..., None],
    settings: Any,
    scheme: str,
    width: int,
) -> None:
    empty = opened(ada, "empty")
    run_training(order(ada, gate), text="A0")
    trainings.settle_all()
    visitor = visit(ada, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visitor.page
    found: list[str] = []

    def look(path: str) -> None:
        page.goto(path)
        page.evaluate(AXE)
        found.extend(f"{path} {one}" for one in page.evaluate(VIOLATIONS, TAGS))
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"{path} is wider than {width} pixels")

    own = f"/accounts/types/{gate.slug}/"
    for path in ("/accounts/types/", own, f"/accounts/types/{empty.slug}/", f"{own}delete"):
        look(path)
    page.goto(own)
    page.get_by_role("button", name="Promote").click()
    look(own)
    trainings.cancel(order(ada, gate))
    look(own)
    settings.PRIVATE_TYPES_PER_USER = 2
    look("/accounts/types/")
    assert found == []
    assert visitor.complaints == []
