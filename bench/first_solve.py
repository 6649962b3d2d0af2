"""From the first page to the first solved picture, as somebody new does it: clicks, keys, seconds.

    .venv-dev/bin/python -m bench.first_solve [--verify-email] [--runs 3]

Starts the service on an empty SQLite database and drives real Chromium with mouse and keyboard: sign up, read
a sample in the playground; make an API key, and run the curl that the page prints in a shell. A click, a key
pressed and a text pasted count one step each. The seconds are those of browser and service: nobody thinks or
searches for a key here.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from playwright.sync_api import Locator, Page, expect

from bench.labelling_page import ROOT, Service
from tests.chromium import launched

PASSWORD = "compiler-1952"  # noqa: S105 (made up)
ANSWER = "K9XEF"
"""Of the sample of type A, which this project drew."""

Told = tuple[int, int, int, float]
"""Clicks, keys, texts pasted, seconds."""


@dataclass
class Person:
    """Counts what a person does."""

    page: Page
    name: str
    clicks: int = 0
    keys: int = 0
    pastes: int = 0
    begun: float = field(default_factory=time.perf_counter)

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.keys += len(text)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1

    def told(self) -> Told:
        return self.clicks, self.keys, self.pastes, time.perf_counter() - self.begun


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--verify-email", action="store_true", help="as in production: the gift comes by mail"
    )
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    rows = measure(options.runs, verify_email=options.verify_email)
    print(f"n = {options.runs}, VERIFY_EMAIL {'on' if options.verify_email else 'off'}; seconds are medians")
    for name, all_told in rows.items():
        clicks, keys, pastes, _ = all_told[0]
        seconds = median(told[3] for told in all_told)
        print(f"{name}: {clicks} clicks, {keys} keys, {pastes} pasted, {seconds:.1f} s")


def measure(runs: int, *, verify_email: bool) -> dict[str, list[Told]]:
    """What each new person did until the two first answers, by the way to it."""
    rows: dict[str, list[Told]] = {}
    with tempfile.TemporaryDirectory() as folder:
        mails = Path(folder) / "mails"
        mails.mkdir()
        os.environ["SOLVED_IMAGES_ROOT"] = str(Path(folder) / "solved")
        os.environ["VERIFY_EMAIL"] = str(int(verify_email))
        os.environ["EMAIL_URL"] = f"filemail:///{mails}"  # of an absolute path
        service = Service(Path(folder))
        install = [sys.executable, "manage.py", "install_models"]
        subprocess.run(install, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        service.start()
        try:
            with launched() as browser:
                expect.set_options(timeout=60_000)
                for number in range(runs):
                    page = browser.new_context(base_url=service.address).new_page()
                    page.goto("/")
                    person = Person(page, f"grace{number}")
                    waited = mails if verify_email else None
                    for name, told in first_answers(person, service.address, Path(folder), waited).items():
                        rows.setdefault(name, []).append(told)
        finally:
            service.kill()
    return rows


def first_answers(person: Person, address: str, folder: Path, mails: Path | None) -> dict[str, Told]:
    page = person.page
    sign_up(person)
    if mails is not None:
        confirm(person, mails)
    page.get_by_role("heading", name="Playground").wait_for()
    person.click(page.get_by_role("button", name="type A"))
    expect(page.locator(".answer")).to_have_text(ANSWER)
    told = {"until the playground's answer": person.told()}
    command = page.locator("details pre code").first.inner_text()
    key = make_key(person)
    run_in_shell(person, command, key, address, folder)
    return told | {"until the answer of the printed curl, from the same start": person.told()}


def sign_up(person: Person) -> None:
    page = person.page
    person.click(page.get_by_role("link", name="Sign up").first)
    person.click(page.get_by_label("Name"))
    person.type(person.name)
    person.press("Tab")
    person.type(f"{person.name}@example.org")
    person.press("Tab")
    person.type(PASSWORD)
    person.press("Tab", "Space", "Enter")


def confirm(person: Person, mails: Path) -> None:
    """Open the link of the mail, and press the button of its page."""
    page = person.page
    page.get_by_text("Look into your mail").wait_for()
    page.goto(link_in(mails, person.name))
    person.clicks += 1
    person.click(page.get_by_role("button", name="Yes, confirm it"))


def link_in(mails: Path, name: str) -> str:
    for _ in range(600):  # the mail is sent after the answer
        texts = "".join(file.read_text() for file in mails.glob("*.log"))
        if found := re.search(rf"account {name}\..*?(http\S+/confirm/\S+)", texts, re.DOTALL):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError("no mail came")


def make_key(person: Person) -> str:
    page = person.page
    person.click(page.get_by_role("link", name="API key", exact=True))
    person.click(page.get_by_label("Name"))
    person.type("laptop")
    person.press("Enter")
    key = page.locator("#new-key")
    person.click(key)  # which selects all of it
    person.press("Control+C")
    return key.inner_text()


def run_in_shell(person: Person, command: str, key: str, address: str, folder: Path) -> None:
    """`KEY=` and the key, the sample, and the command as it was printed; each pasted and sent by Enter."""
    typed = [f"KEY={key}", f"curl -sS -o captcha.png '{address}/static/samples/captcha_type_a.png'", command]
    person.keys += len("KEY=") + len(typed)
    person.pastes += len(typed)
    done = subprocess.run(
        ["bash", "-c", "\n".join(typed)], cwd=folder, capture_output=True, text=True, check=True
    )
    assert f'"{ANSWER}"' in done.stdout, done.stdout + done.stderr


if __name__ == "__main__":
    main()
