"""The pictures of docs/tour.md: the pages with drawn captchas and a made-up history.

The own type is really trained, for three minutes: its figures are what came out.

.venv-dev/bin/python -m bench.tour_pictures [--out docs/images/tour] [--only own-type]
"""

import argparse
import io
import os
import random
import shutil
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.labelling_page import ROOT, Service

COLOURS = 128
MAX_BYTES = 150_000
LABELS = 120
"""Of the own type that is trained."""
LETTERS = "2345689ABCDEFGHJKMNPQRSTUVWXYZ"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "tour")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="write these pictures alone")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOLVED_IMAGES_ROOT"] = str(Path(folder) / "solved")
        service = Service(Path(folder))
        prepare()
        train_an_own_type()
        service.start()
        try:
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                expect.set_options(timeout=30_000)
                Album(browser, service.address, options.out, options.only).fill()
        finally:
            service.kill()


def prepare() -> None:
    """The shipped models, the demo's people, and a fortnight of solves and jobs that never were."""
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import User
    from jobs.models import JobRun
    from solving.models import Solve

    call_command("install_models", verbosity=0)
    call_command("demo", verbosity=0)
    user = User.objects.get(username="test")
    chance = random.Random(7)
    now = timezone.now()
    for day in range(14):
        for _ in range(chance.randint(4, 40)):
            read = chance.random() < 0.93
            text = "".join(chance.choices("2345689ABCDEFGHJKMNPQRSTUVWXYZ", k=5)) if read else ""
            Solve.objects.create(
                user=user,
                account=user.credit_account,
                captcha_type=chance.choice(["captcha_type_a", "captcha_type_a", "general"]) if read else "",
                text=text,
                answer=text,
                confidence=chance.uniform(0.9, 0.999) if read else None,
                outcome="solved" if read else "refused",
                reason="" if read else "confidence 0.41 < 0.61",
                charged=int(read),
                elapsed_ms=1.2,
                created=now - timedelta(days=day, minutes=chance.randint(0, 300)),
            )
    finished = {"started": now, "finished": now}
    JobRun.objects.create(kind="prune", state="succeeded", outcome="nothing past its time", **finished)
    JobRun.objects.create(kind="check_ledger", state="failed", outcome="exit 1", **finished)


def train_an_own_type() -> None:
    """The demo's person brings drawn captchas and has a reader trained on them."""
    from accounts import credits
    from accounts.models import User
    from labeling.importing import Options, import_files
    from ml.recognition.synthesis import generator
    from own_types import services, trainings

    user = User.objects.get(username="test")
    credits.grant(user=user, amount=100, reason="paid", actor="admin")
    captcha_type = services.open_type(user=user, title="Log-in of our shop", name="shop", alphabet=LETTERS)
    chance, files = random.Random(3), []
    for number in range(LABELS):
        text = "".join(chance.choices(LETTERS, k=5))
        stream = io.BytesIO()
        generator.draw(number, "ripples", text).image.save(stream, "PNG")
        files.append((f"{text}.png", stream.getvalue()))
    import_files(captcha_type=captcha_type, files=files, options=Options(labelled=True))
    placed = trainings.order(user=user, captcha_type=captcha_type, key=uuid.uuid4())
    while not trainings.settle(placed):
        time.sleep(2)
    print(f"{placed}: {placed.state}")


class Album:
    def __init__(self, browser: Browser, address: str, out: Path, only: list[str]) -> None:
        self.browser, self.address, self.out, self.only = browser, address, out, only

    def fill(self) -> None:
        page = self.page()
        self.read_sample(page, "/")
        self.take(page, "first-page")
        phone = self.page(width=360, dark=True)
        self.read_sample(phone, "/")
        self.take(phone, "first-page-phone")
        page.goto("/accounts/sign-up/")
        page.get_by_label("Name").fill("grace")
        page.get_by_label("E-mail address").fill("grace@example")
        page.get_by_role("button", name="Sign up").click()
        self.take(page, "sign-up")
        self.log_in(page, "test")
        self.read_sample(page, "/playground")
        self.take(page, "playground")
        for name, path in (("account", "/accounts/"), ("history", "/accounts/history/")):
            page.goto(path)
            self.take(page, name)
        page.goto("/accounts/keys/")
        page.get_by_label("Name").fill("nightly tests")
        page.get_by_role("button", name="Make it").click()
        self.take(page, "api-keys")
        page.goto("/accounts/types/")
        page.get_by_role("link", name="Log-in of our shop").click()
        self.take(page, "own-type")
        page.goto("/types/")
        self.take(page, "types")
        admin = self.page()
        self.log_in(admin, "admin")
        admin.goto("/admin/")
        self.take(admin, "dashboard")

    def page(self, *, width: int = 1000, dark: bool = False) -> Page:
        context = self.browser.new_context(
            base_url=self.address,
            viewport={"width": width, "height": 760},
            color_scheme="dark" if dark else "light",
        )
        return context.new_page()

    def log_in(self, page: Page, name: str) -> None:
        page.goto("/accounts/login/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(name)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name)).to_be_visible()

    def read_sample(self, page: Page, path: str) -> None:
        page.goto(path)
        page.get_by_role("button", name="type B").click()
        expect(page.locator(".answer")).to_be_visible()

    def take(self, page: Page, name: str) -> None:
        """From the top, at most 1,400 pixels high; a palette keeps the file small."""
        if self.only and name not in self.only:
            return
        data = page.screenshot(full_page=True)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.crop((0, 0, image.width, min(image.height, 1400)))
        file = self.out / f"{name}.png"
        image.quantize(COLOURS).save(file, optimize=True)
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise SystemExit(f"{file} has {size:,} bytes, {MAX_BYTES:,} are the most.")
        print(f"{file.name}: {size:,} bytes")


if __name__ == "__main__":
    main()
