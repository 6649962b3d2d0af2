"""The pictures of docs/tour.md: the pages with drawn captchas and a made-up history.

The own type is really trained, for three minutes: its figures are what came out. The learning curve of
type A, the version that its reader is compared with and the crawl are made up.

    .venv-dev/bin/python -m bench.tour_pictures [--out docs/images/tour] [--only own-type]
    .venv-dev/bin/python -m bench.tour_pictures --out FOLDER --looks     # also in the dark and on a phone
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
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bench.labelling_page import ROOT, Service

COLOURS = 128
MAX_BYTES = 100_000
LABELS = 120
"""Of the own type that is trained."""
LOAD = """() => Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode().catch(() => null);
}))"""
"""What lies below the window is loaded too before the picture is taken."""
LETTERS = "2345689ABCDEFGHJKMNPQRSTUVWXYZ"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "tour")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="write these pictures alone")
    parser.add_argument("--looks", action="store_true", help="each page also in the dark and on a phone")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOLVED_IMAGES_ROOT"] = str(Path(folder) / "solved")
        os.environ["CURVES_ROOT"] = str(Path(folder) / "curves")
        os.environ["VERIFY_EMAIL"] = "1"
        os.environ["THROTTLE_SIGN_UP"] = "4/hour"  # the page that says so is one of the pictures
        service = Service(Path(folder))
        prepare()
        crawl(train_an_own_type())
        measure_type_a()
        service.start()
        try:
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                expect.set_options(timeout=30_000)
                album = Album(browser, service.address, options.out, options.only, looks=options.looks)
                album.fill()
        finally:
            service.kill()


def prepare() -> None:
    """The shipped models, the demo's people, and a fortnight of solves and jobs that never were."""
    from django.contrib.admin.models import CHANGE, LogEntry
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import EmailVerification, User
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
    for one in User.objects.all():
        EmailVerification.objects.create(user=one, email=one.email, verified=now)
    office = User.objects.get(username="admin")
    content_type = ContentType.objects.get_for_model(User)
    for minutes, what in ((50, "+1000 credits: paid by invoice 17"), (31, "suspended"), (4, "reactivated")):
        LogEntry.objects.create(
            action_time=now - timedelta(minutes=minutes),
            user=office,
            content_type=content_type,
            object_id=str(user.pk),
            object_repr=str(user),
            action_flag=CHANGE,
            change_message=what,
        )
    finished = {"started": now, "finished": now}
    JobRun.objects.create(kind="prune", state="succeeded", outcome="nothing past its time", **finished)
    JobRun.objects.create(kind="check_ledger", state="failed", outcome="exit 1", **finished)


def train_an_own_type() -> Any:
    """The demo's person brings drawn captchas and has a reader trained on them."""
    from accounts import credits
    from accounts.models import User
    from labeling.importing import Options, import_files
    from own_types import services, trainings

    user = User.objects.get(username="test")
    credits.grant(user=user, amount=100, reason="paid", actor="admin")
    captcha_type = services.open_type(user=user, title="Log-in of our shop", name="shop", alphabet=LETTERS)
    import_files(captcha_type=captcha_type, files=drawn(LABELS, seed=3), options=Options(labelled=True))
    placed = trainings.order(user=user, captcha_type=captcha_type, key=uuid.uuid4())
    while not trainings.settle(placed):
        time.sleep(2)
    print(f"{placed}: {placed.state}")
    return captcha_type


def drawn(number: int, *, seed: int) -> list[tuple[str, bytes]]:
    """So many captchas that the project draws, each named by its text."""
    from ml.recognition.synthesis import generator

    chance, files = random.Random(seed), []
    for one in range(number):
        text = "".join(chance.choices(LETTERS, k=5))
        stream = io.BytesIO()
        generator.draw(1000 * seed + one, "ripples", text).image.save(stream, "PNG")
        files.append((f"{text}.png", stream.getvalue()))
    return files


def measure_type_a() -> None:
    """A learning curve, and a second version that reads a few images better and one worse."""
    from django.conf import settings

    from labeling.importing import Options, import_files
    from labeling.models import Sample
    from ml.models import CaptchaType, Evaluation, JudgedImage, ModelVersion
    from ml.recognition.audit.state import Results
    from ml.recognition.metrics import interval

    captcha_type = CaptchaType.objects.get(slug="captcha_type_a")
    curve = Results(
        Path(settings.CURVES_ROOT), {"slug": captcha_type.slug, "dataset": sha256(b"curve").hexdigest()}
    )
    for labels, right in ((25, 71), (50, 86), (100, 94), (200, 97)):
        curve.put(
            f"labels-{labels}-draw-0",
            {"exact_match": interval(right, 100), "seconds": 60.0, "cpu_seconds": 90.0},
        )
    import_files(captcha_type=captcha_type, files=drawn(60, seed=5), options=Options(labelled=True))
    one = ModelVersion.objects.filter(slug=captcha_type.slug).latest("version")
    fields = {field.attname: getattr(one, field.attname) for field in one._meta.concrete_fields}
    other = ModelVersion.objects.create(
        **fields | {"id": None, "version": one.version + 1, "folder": f"{one.folder}-2", "state": "candidate"}
    )
    samples = list(Sample.objects.filter(captcha_type=captcha_type).exclude(text="").order_by("pk")[:60])
    for version, errors in ((one, {3, 17, 29, 44}), (other, {29, 51})):
        evaluation = Evaluation.objects.create(
            version=version, dataset_hash=sha256(b"compared").hexdigest(), n=len(samples),
            right=len(samples) - len(errors), ece=0.01, made_by="a made-up evaluation",
        )  # fmt: skip
        JudgedImage.objects.bulk_create(
            JudgedImage(
                evaluation=evaluation, data_hash=sample.sha256, truth=sample.text, right=number not in errors,
                read=sample.text if number not in errors else sample.text[:2] + "8" + sample.text[3:],
                confidence=0.62 if number in errors else 0.98,
            )
            for number, sample in enumerate(samples)
        )  # fmt: skip


def crawl(captcha_type: Any) -> None:
    """A source and a crawl of it that went on for a while."""
    from django.utils import timezone

    from crawl.models import CaptchaSource, CrawledImage, CrawlRun
    from labeling.models import Sample

    now = timezone.now()
    leave = {"authorised_by": "Ada, who runs the shop", "authorisation": "our own test site"}
    source = CaptchaSource.objects.create(
        slug="shop", captcha_type=captcha_type, start_url="https://shop.example.org/login", count=200, **leave
    )
    run = CrawlRun.objects.create(
        source=source, source_slug="shop", host="shop.example.org", state="short", wanted=200, kept=120,
        duplicates=9, drops={"no image": 2, "too small": 1}, requests=264, seconds=264.0,
        reason="the site answered 503 ten times", by="admin on web-1", authorisation=leave["authorisation"],
        log="kept 120 of 200, 264 requests\nthe site answered 503 ten times: it ends here",
        started=now - timedelta(minutes=9), ended=now - timedelta(minutes=4),
    )  # fmt: skip
    for sample in Sample.objects.filter(captcha_type=captcha_type).order_by("pk")[:12]:
        CrawledImage.objects.create(
            run=run,
            sample=sample,
            sha256=sample.sha256,
            url="https://shop.example.org/captcha.png",
            fetched=now,
        )


class Album:
    def __init__(
        self, browser: Browser, address: str, out: Path, only: list[str], *, looks: bool = False
    ) -> None:
        self.browser, self.address, self.out, self.only, self.looks = browser, address, out, only, looks

    def fill(self) -> None:
        self.for_everybody()
        self.with_an_account()
        self.for_who_runs_it()

    def for_everybody(self) -> None:
        page = self.page()
        self.read_sample(page, "/")
        self.take(page, "first-page")
        phone = self.page(width=360, dark=True)
        self.read_sample(phone, "/")
        self.take(phone, "first-page-phone")
        page.goto("/types/")
        self.take(page, "types")
        page.goto("/types/general/")
        self.take(page, "type-confusions")
        page.goto("/accounts/sign-up/")
        page.get_by_label("Name").fill("grace")
        page.get_by_label("E-mail address").fill("grace@example")
        page.get_by_role("button", name="Sign up").click()
        self.take(page, "sign-up")
        page.get_by_label("E-mail address").fill("grace@example.org")
        page.get_by_label("Password").fill("a long pass phrase")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Sign up").click()
        page.goto("/accounts/email/")
        self.take(page, "email")

    def with_an_account(self) -> None:
        page = self.page()
        self.log_in(page, "test")
        self.read_sample(page, "/playground")
        self.take(page, "playground")
        for name, path in (
            ("account", "/accounts/"),
            ("history", "/accounts/history/"),
            ("own-types", "/accounts/types/"),
            ("my-data", "/accounts/data/"),
        ):
            page.goto(path)
            self.take(page, name)
        phone = self.page(width=360)
        self.log_in(phone, "test")
        phone.goto("/accounts/")
        self.take(phone, "account-phone")
        page.goto("/accounts/sessions/")
        self.take(page, "log-ins")
        page.goto("/accounts/keys/")
        page.get_by_label("Name").fill("nightly tests")
        page.get_by_role("button", name="Make it").click()
        self.take(page, "api-keys")
        page.goto("/accounts/types/")
        page.get_by_role("link", name="Log-in of our shop").click()
        self.take(page, "own-type")
        page.goto("/accounts/two-factor/")
        page.get_by_role("button").last.click()
        self.take(page, "two-factor")
        self.ask_too_often(page)
        self.take(page, "error")

    def for_who_runs_it(self) -> None:
        admin = self.page(width=1280)
        self.log_in(admin, "admin")
        for name, path in (
            ("type", "/types/captcha_type_a/"),
            ("compare", "/types/captcha_type_a/compare/"),
            ("dashboard", "/admin/"),
            ("log-entries", "/admin/admin/logentry/"),
            ("users", "/admin/accounts/user/"),
            ("crawl", "/admin/crawl/captchasource/1/live/"),
        ):
            admin.goto(path)
            self.take(admin, name)

    def ask_too_often(self, page: Page) -> None:
        for _ in range(20):
            page.goto("/accounts/email/")
            with page.expect_navigation():
                page.locator("main form").last.evaluate("form => { form.noValidate = true; form.submit(); }")
            if page.get_by_role("heading", name="too", exact=False).count():
                return

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
        """Twice: the first reading of a process also loads what it needs, and its time would say so."""
        for _ in range(4):  # by each of the two processes
            page.goto(path)
            page.get_by_role("button", name="type B").click()
            expect(page.locator(".answer")).to_be_visible()

    def take(self, page: Page, name: str) -> None:
        if self.only and name not in self.only:
            return
        self.save(page, name)
        if not self.looks or name.endswith("-phone"):
            return
        page.emulate_media(color_scheme="dark")
        self.save(page, f"{name}-dark")
        size = page.viewport_size or {"width": 1000, "height": 760}
        page.set_viewport_size({"width": 360, "height": 760})
        self.save(page, f"{name}-dark-phone")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(size)

    def save(self, page: Page, name: str) -> None:
        """From the top, at most 1,400 pixels high; a palette keeps the file small."""
        page.evaluate(LOAD)
        data = page.screenshot(full_page=True)
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.crop((0, 0, image.width, min(image.height, 1400)))
        file = self.out / f"{name}.png"
        for colours in (COLOURS, COLOURS // 2, COLOURS // 4):
            image.quantize(colours, dither=Image.Dither.NONE).save(file, optimize=True)
            size = file.stat().st_size
            if size <= MAX_BYTES:
                break
        else:
            raise SystemExit(f"{file} has {size:,} bytes, {MAX_BYTES:,} are the most.")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        print(f"{file.name}: {size:,} bytes" + (f", {wide} pixels wider than the window" if wide else ""))


if __name__ == "__main__":
    main()
