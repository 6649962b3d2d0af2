"""The pictures of the labelling page in docs/labelling.md: each mode and state, with drawn captchas.

.venv-dev/bin/python -m bench.labelling_pictures [--out docs/images/labelling]
"""

import argparse
import io
import math
import tempfile
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from bench.labelling_page import ROOT, Service, add_people, add_type, logged_in
from tests.chromium import launched

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
TEXTS = [
    "7KXQE",
    "PD4WM",
    "RT8HA",
    "GN2VC",
    "X9FJB",
    "M5ZUK",
    "QW3ET",
    "H6YPS",
    "CB7DL",
    "V4NKR",
    "E8GAT",
    "J2MXF",
]
COLOURS = 160


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "labelling")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        add_people("bench", "ben")
        for slug in ("shop", "split", "done"):
            add_type(slug)
        fill("shop", TEXTS)
        fill("split", TEXTS[:2])
        disagree("split")
        service.start()
        try:
            with launched() as browser:
                Album(browser, service.address, options.out).fill()
        finally:
            service.kill()


class Album:
    def __init__(self, browser: Browser, address: str, out: Path) -> None:
        self.browser, self.address, self.out = browser, address, out

    def fill(self) -> None:
        self.modes()
        self.states()
        self.training()

    def modes(self) -> None:
        page = self.fresh("shop", "type")
        page.keyboard.type("7KX")
        self.take(page, "type")
        self.take(self.fresh("shop", "verify"), "verify")
        self.take(self.fresh("shop", "verify", dark=True), "verify-dark")
        page = self.fresh("shop", "grid")
        page.keyboard.press("ArrowDown")
        page.keyboard.type("RT8HB")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        self.take(page, "grid")
        page = self.fresh("split", "disagreement")
        page.keyboard.type("7KXQE")
        page.keyboard.press("Enter")
        page.wait_for_selector("#others:not([hidden])")
        self.take(page, "disagreement")

    def fresh(self, slug: str, mode: str, *, dark: bool = False) -> Page:
        """A page that holds no image, no half typed text and no lease of another."""
        release()
        page = self.page(dark=dark)
        self.open(page, slug, mode)
        return page

    def states(self) -> None:
        def offline(page: Page) -> None:
            page.context.set_offline(True)
            enter(page)
            enter(page)

        def lost(page: Page) -> None:
            give_to_ben()
            enter(page)

        def expired(page: Page) -> None:
            page.context.clear_cookies()
            enter(page)

        self.state("saved", enter)
        self.state("offline", offline)
        self.state("lost", lost)
        self.state("expired", expired)
        self.state("failed", lambda page: None, broken=True)
        page = self.page()
        self.open(page, "done", "type")
        page.wait_for_selector("#state[data-state=empty]")
        self.take(page, "state-empty", "#state")

    def state(self, state: str, act: Callable[[Page], None], *, broken: bool = False) -> None:
        """A picture of the page in that state."""
        release()
        page = self.page()
        if broken:
            page.route("**/labeling/images/*", lambda route: route.abort())
        self.open(page, "shop", "type", waits=not broken)
        act(page)
        page.wait_for_selector(f"#state[data-state={state}]")
        self.take(page, f"state-{state}")
        page.context.close()

    def training(self) -> None:
        from django.contrib.auth import get_user_model

        from jobs import services
        from jobs.models import JobRun

        run = JobRun.objects.create(
            kind="train a type", key="train shop", arguments=["shop", "1", "--minutes", "3"],
            started_by=get_user_model().objects.get(username="bench"),
        )  # fmt: skip
        claimed = services.claim(run_id=run.pk, host="here", pid=1)
        curve = [
            {
                "step": step,
                "loss": 9 * math.exp(-step / 90) + 0.1,
                "validation exact match": 1 - math.exp(-step / 120),
            }
            for step in range(10, 400, 10)
        ]
        if claimed is not None:
            services.beat(claimed, done=66, of=100, line="an example, drawn from a formula", curve=curve)
        page = self.page()
        page.goto(f"{self.address}/labeling/shop/datasets")
        page.wait_for_selector(".curves svg")
        self.take(page, "training", "section")

    def page(self, *, dark: bool = False) -> Page:
        context = self.browser.new_context(
            viewport={"width": 960, "height": 760}, color_scheme="dark" if dark else "light"
        )
        return logged_in(context.new_page(), self.address)

    def open(self, page: Page, slug: str, mode: str, *, waits: bool = True) -> None:
        page.goto(f"{self.address}/labeling/{slug}/?mode={mode}")
        if waits:
            page.wait_for_selector("#stage img, .tile, #state[data-state=empty]")
        page.wait_for_timeout(500)

    def take(self, page: Page, name: str, part: str = "") -> None:
        """A palette is enough for a page, and makes a fifth of it."""
        data = page.locator(part).first.screenshot() if part else page.screenshot()
        picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS)
        picture.save(self.out / f"{name}.png", optimize=True)


def fill(slug: str, texts: list[str]) -> None:
    """Images of one look, with readings as a reader makes them: most are sure, one is not, one is wrong."""
    from labeling.importing import add_image
    from labeling.models import Sample
    from labeling.reports import add_reported
    from ml.models import CaptchaType
    from ml.recognition.synthesis import generator

    captcha_type = CaptchaType.objects.get(slug=slug)
    for number, text in enumerate(texts):
        stream = io.BytesIO()
        generator.draw(700 + number, style="ripples", text=text).image.save(stream, "PNG")
        sample, _ = add_image(
            captcha_type=captcha_type, data=stream.getvalue(), name=text, source="", split="train"
        )
        sure = [0.99, 0.98, 0.99, 0.97, 0.99] if number else [0.99, 0.62, 0.97, 0.81, 0.99]
        Sample.objects.filter(pk=sample.pk).update(
            prediction=text if number else "7KXGE", confidence=min(sure), characters=sure,
            model_version=f"{slug}/1", priority=number,
        )  # fmt: skip
        if number == 0 and slug == "shop":
            add_reported(
                type_slug=slug, image_bytes=stream.getvalue(), read="7KXGE", correction="7KXQE", reference="1"
            )


def disagree(slug: str) -> None:
    from labeling.models import Label, Sample

    sample = Sample.objects.filter(captcha_type__slug=slug).earliest("priority")
    for text in ("7KXQE", "7KXGE"):
        Label.objects.create(save_id=uuid.uuid4(), sample=sample, text=text, mode="type")
    Sample.objects.filter(captcha_type__slug=slug).update(status="disagreement", opinions=2)


def enter(page: Page) -> None:
    page.keyboard.type("7KXQE")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)


def release() -> None:
    """Every image is free and unread again, so that each picture begins alike."""
    from labeling.models import Label, Sample

    Label.objects.filter(sample__captcha_type__slug="shop").delete()
    Sample.objects.filter(captcha_type__slug="shop").update(
        lease_person=None, lease_session=None, lease_until=None, status="open", text="", opinions=0, round=1
    )


def give_to_ben() -> None:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from labeling.models import Sample

    Sample.objects.filter(captcha_type__slug="shop").update(
        lease_person=get_user_model().objects.get(username="ben"),
        lease_session=uuid.uuid4(),
        lease_until=timezone.now() + timedelta(minutes=5),
    )


if __name__ == "__main__":
    main()
