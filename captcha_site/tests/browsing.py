"""A person with a real browser: the pages with the shipped models, and what its console complains of."""

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts import credits
from accounts.models import User
from ml import registry
from ml.services import install_shipped_models
from tests.chromium import REPORT_VIOLATIONS

PASSWORD = "a password of theirs"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
VIOLATIONS = """async tags => (await axe.run(document, {runOnly: tags, preload: false})).violations.map(
    one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 200)).join(" | "))"""
"""Without preloading: axe would put imported style sheets into the page, which the policy forbids."""


class Visitor:
    """A person with a browser; what its console complains of is kept."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.complaints: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def log_in(self, name: str) -> None:
        self.page.goto("/accounts/login/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()


MakeVisitor = Callable[..., Visitor]


@pytest.fixture
def visit(chromium: Browser, live_server: Any) -> Iterator[MakeVisitor]:
    cache.clear()
    registry.reset()
    install_shipped_models()
    opened: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        opened.append(Visitor(chromium, live_server.url, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.context.close()
    registry.reset()


@pytest.fixture
def ada(db: None) -> User:
    user = User.objects.create_user("ada", "ada@example.org", PASSWORD)
    credits.grant(user=user, amount=10, reason="for the test", actor="the test")
    return user
