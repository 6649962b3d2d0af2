"""The labelling page in a real browser: how soon the next image is painted, and whether a save is lost.

    .venv-dev/bin/python -m bench.labelling_page [--images 200] [--texts 200] [--kills 10] [--axe FILE]

Starts the service on an empty SQLite database, imports drawn images, and labels them with the keyboard alone.
Then the server is killed and started again while somebody types, the network dies again and again, and eight
people work on one queue. `bench/labelling_speed.py` and `bench/labelling_sitting.py` measure the rest.
"""

import argparse
import io
import itertools
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench.http_server import ROOT, free_port
from tests.chromium import launched

PASSWORD = secrets.token_hex(8)
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
WATCH = """
    window.painted = []; window.mice = 0;
    addEventListener("mousedown", () => { window.mice += 1; }, true);
    addEventListener("keydown", event => {
        if (event.key !== "Enter") return;
        const before = document.querySelector("#stage img");
        const look = () => {
            const image = document.querySelector("#stage img");
            if (image && image !== before && image.complete)
                requestAnimationFrame(() => window.painted.push(performance.now() - event.timeStamp));
            else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, true);
    document.addEventListener("securitypolicyviolation", e => console.error(e.violatedDirective));
"""
"""An image counts as painted in the frame after the one in which it stands in the page."""


class Service:
    """gunicorn on a database of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        os.environ.update(
            DJANGO_SETTINGS_MODULE="captcha_site.settings",
            DJANGO_ALLOW_ASYNC_UNSAFE="1",
            ENV_FILE=os.devnull,
            DEBUG="1",
            DATABASE_URL=f"sqlite:///{folder / 'bench.sqlite3'}",
            SAMPLES_ROOT=str(folder / "samples"),
            DATASETS_ROOT=str(folder / "datasets"),
            ARTIFACTS_ROOT=str(folder / "artifacts"),
            TRAINING_PYTHON=sys.executable,
            PYTHONWARNINGS="ignore",
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "captcha_site.wsgi", "--workers", "2"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--log-level", "critical", "--no-control-socket"]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.address}/health_check", timeout=5)  # noqa: S310
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the server does not answer")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--latency", type=int, default=150, help="ms, simulated by the browser")
    parser.add_argument("--texts", type=int, default=200, help="typed while the server is killed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--sessions", type=int, default=8, help="people who work on one queue")
    parser.add_argument("--axe", type=Path, help="axe-core's script, to check the pages for accessibility")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        prepare({"paint": options.images, "kills": options.texts, "dead": options.texts})
        prepare_crowd(options.sessions)
        service.start()
        try:
            with launched() as browser:
                page = logged_in(browser.new_page(), service.address)
                if options.axe:
                    check_access(page, service.address, options.axe.read_text())
                paint_times(page, service.address, options)
                lost_saves(page, service, options)
                dead_network(page, service.address, options.texts)
                crowd(browser, service.address, options.sessions)
        finally:
            service.kill()


def prepare(types: dict[str, int]) -> None:
    """Types with drawn images, and somebody who may label and manage them."""
    from labeling.importing import Options, import_zip

    add_people("bench")
    for slug, images in types.items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as stream:
            for number in range(images):
                stream.writestr(f"{number}.png", drawn(f"{slug[0]}{number}"))
        import_zip(captcha_type=add_type(slug), archive=archive, options=Options())


def add_people(*names: str) -> None:
    from django.contrib.auth import get_user_model

    for name in names:
        get_user_model().objects.create_superuser(name, f"{name}@example.org", PASSWORD)


def add_type(slug: str, **fields: Any) -> Any:
    from ml.models import CaptchaType

    rules = {"alphabet": ALPHABET, "min_length": 5, "max_length": 5} | fields
    return CaptchaType.objects.create(slug=slug, title=slug, **rules)


def drawn(text: str) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (200, 60), (255, 255, 255))
    ImageDraw.Draw(picture).text((10, 10), text, fill=(0, 0, 0), font_size=32)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def logged_in(page: Page, address: str, name: str = "bench") -> Page:
    page.add_init_script(WATCH)
    page.goto(f"{address}/labeling/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("h2")
    return page


def paint_times(page: Page, address: str, options: argparse.Namespace) -> None:
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {
        "offline": False,
        "latency": options.latency,
        "downloadThroughput": -1,
        "uploadThroughput": -1,
    }
    network.send("Network.emulateNetworkConditions", conditions)
    page.goto(f"{address}/labeling/paint/?mode=type")
    page.wait_for_selector("#stage img")
    page.wait_for_timeout(1000)
    texts = itertools.cycle(ALPHABET)
    for _ in range(options.images - 1):
        page.keyboard.type("".join(next(texts) for _ in range(5)), delay=20)
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    times = sorted(page.evaluate("window.painted"))
    mice = page.evaluate("window.mice")
    network.send("Network.emulateNetworkConditions", conditions | {"latency": 0})
    p95 = times[int(len(times) * 0.95)]
    print(f"Enter to the next image painted at {options.latency} ms latency (n = {len(times)}): ", end="")
    print(f"median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, worst {times[-1]:.0f} ms; ", end="")
    print(f"{mice} mouse events, {len(complaints)} console errors")


def lost_saves(page: Page, service: Service, options: argparse.Namespace) -> None:
    """Type on while the server is killed; then count what did not arrive or arrived wrongly."""
    page.goto(f"{service.address}/labeling/kills/?mode=type")
    page.wait_for_selector("#stage img")
    over = threading.Event()
    kills = 0

    def killing() -> None:
        nonlocal kills
        chance = random.Random(1)
        while kills < options.kills and not over.wait(chance.uniform(0.5, 2.5)):
            service.kill()
            kills += 1
            over.wait(chance.uniform(0.2, 1.5))
            service.start()

    killer = threading.Thread(target=killing)
    killer.start()
    typed: dict[str, str] = {}
    deadline = time.monotonic() + 600
    while len(typed) < options.texts and time.monotonic() < deadline:
        shown = page.evaluate("document.querySelector('#stage img')?.src")
        if shown is None:
            page.wait_for_timeout(200)  # the images decoded ahead are used up: the server was away too long
            continue
        text = "".join(random.choices(ALPHABET, k=5))
        typed[shown.rsplit("/", 1)[1]] = text
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_timeout(30)
    over.set()
    killer.join()
    page.wait_for_function("() => document.getElementById('waiting').textContent === '0'", timeout=120_000)
    lost = _lost(typed)
    print(f"{kills} SIGKILLs of the server while {len(typed)} texts were typed: {lost} lost or changed")


def dead_network(page: Page, address: str, texts: int) -> None:
    """Type on while the network goes away and comes back; then count as above."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")

    def reachable(is_there: bool) -> None:
        conditions = {"offline": not is_there, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        network.send("Network.emulateNetworkConditions", conditions)

    page.goto(f"{address}/labeling/dead/?mode=type")
    page.wait_for_selector("#stage img")
    typed: dict[str, str] = {}
    spells = 0
    deadline = time.monotonic() + 600
    while len(typed) < texts and time.monotonic() < deadline:
        if len(typed) % 25 == 5:
            spells += 1
            reachable(False)
        elif len(typed) % 25 == 10:
            reachable(True)
        shown = page.evaluate("document.querySelector('#stage img')?.src")
        if shown is None:  # what was decoded ahead is used up: the network was away too long
            reachable(True)
            page.wait_for_timeout(200)
            continue
        text = "".join(random.choices(ALPHABET, k=5))
        typed[shown.rsplit("/", 1)[1]] = text
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_timeout(30)
    reachable(True)
    page.wait_for_function("() => document.getElementById('waiting').textContent === '0'", timeout=120_000)
    print(
        f"{spells} spells without a network while {len(typed)} texts were typed: "
        f"{_lost(typed)} lost or changed"
    )


def _lost(typed: dict[str, str]) -> int:
    """How many of the texts, by assignment, are not in force as they were typed."""
    from labeling.models import Label

    labels = Label.objects.filter(undone_at=None)
    stored: dict[str, Any] = {str(label.assignment_id): label.text for label in labels}
    return sum(stored.get(assignment) != text for assignment, text in typed.items())


def prepare_crowd(sessions: int) -> None:
    """Twenty training images a person: no second reading is meant to happen."""
    from labeling.importing import add_image

    add_people(*(f"person{number}" for number in range(sessions)))
    captcha_type = add_type("crowd")
    for number in range(20 * sessions):
        add_image(
            captcha_type=captcha_type, data=drawn(f"C{number}"), name=f"C{number}", source="", split="train"
        )


def crowd(browser: Browser, address: str, sessions: int) -> None:
    """Everybody types in turn, an image each, while the pages claim and save at the same time."""
    from django.db.models import Count

    from labeling.models import Assignment, Label

    pages = [
        logged_in(browser.new_context().new_page(), address, f"person{number}") for number in range(sessions)
    ]
    for page in pages:
        page.goto(f"{address}/labeling/crowd/?mode=type")
    busy = list(pages)
    while busy:
        for page in list(busy):
            page.wait_for_selector("#stage img, #state[data-state=empty]")
            if page.query_selector("#stage img") is None:
                busy.remove(page)
                continue
            page.keyboard.type("".join(random.choices(ALPHABET, k=5)))
            page.keyboard.press("Enter")
    for page in pages:
        page.wait_for_function("() => document.getElementById('waiting').textContent === '0'", timeout=60_000)
    given = Assignment.objects.filter(sample__captcha_type__slug="crowd", purpose="label")
    people = given.values("sample", "round").annotate(people=Count("person", distinct=True))
    said = Label.objects.filter(sample__captcha_type__slug="crowd", undone_at=None)
    twice = said.values("sample", "round").annotate(n=Count("pk")).filter(n__gt=1).count()
    print(
        f"{sessions} people on one queue: {said.count()} of {len(people)} images read, "
        f"{people.filter(people__gt=1).count()} given to two, {twice} read by two"
    )


def check_access(page: Page, address: str, axe: str) -> None:
    """axe-core on every page, light and dark."""
    paths = [
        "",
        "paint/?mode=type",
        "paint/?mode=verify",
        "paint/?mode=grid",
        "paint/import",
        "paint/datasets",
        "paint/review",
    ]
    found = 0
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(f"{address}/labeling/{path}")
            page.wait_for_timeout(1500)
            page.evaluate(axe)
            tags = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
            for one in page.evaluate("tags => axe.run(document, tags)", tags)["violations"]:
                found += 1
                print(f"{scheme} {path}: {one['id']}: {one['help']}: {one['nodes'][0]['html'][:120]}")
    page.emulate_media(color_scheme="light")
    print(f"axe: {found} violations on {len(paths)} pages, light and dark")


if __name__ == "__main__":
    main()
