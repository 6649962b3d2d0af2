"""Every task by keys alone: what cannot be reached with the Tab key fails here."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from accounts.models import ApiKey, User
from captcha_site.tests.browsing import PASSWORD, MakeVisitor
from ml.models import ModelVersion
from ml.tests.artifacts import write_reader
from ml.tests.conftest import better
from solving.models import Solve, SolveReport

pytestmark = pytest.mark.django_db(transaction=True)

MOST_STOPS = 90


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus; and it has to be seen that it has."""
    expect(target).to_have_count(1)
    for _ in range(MOST_STOPS):
        if target.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(target).to_be_focused()
    shown = "element => getComputedStyle(element).outlineStyle + getComputedStyle(element).boxShadow"
    assert target.evaluate(shown) != "nonenone"


def press(page: Page, name: str, role: Any = "button", key: str = "Enter") -> None:
    tab_to(page, page.get_by_role(role, name=name))
    page.keyboard.press(key)


def write(page: Page, label: str, text: str) -> None:
    tab_to(page, page.get_by_label(label))
    page.keyboard.type(text)


def log_in(page: Page, name: str) -> None:
    page.goto("/accounts/login/")
    write(page, "Name", name)
    write(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_sign_up_have_a_sample_read_and_report_it(visit: MakeVisitor) -> None:
    page = visit().page
    page.goto("/")
    press(page, "Sign up", "link")
    write(page, "Name", "grace")
    write(page, "E-mail address", "grace@example.org")
    write(page, "Password", PASSWORD)
    tab_to(page, page.get_by_label("I have read"))
    page.keyboard.press("Space")
    press(page, "Sign up")
    expect(page.get_by_role("heading", name="Playground")).to_be_visible()
    press(page, "type B")
    expect(page.locator(".answer")).to_have_text("68")
    expect(page.locator("#result")).to_be_focused()
    tab_to(page, page.get_by_role("region", name="Where it looked"))  # it may scroll
    expect(page.get_by_role("img", name=re.compile("marked with the columns"))).to_be_visible()
    write(page, "Type the right text", "69")
    page.keyboard.press("Enter")
    expect(page.locator("#report")).to_contain_text("Thank you")
    assert SolveReport.objects.get().solve.user is not None


def test_make_a_key_and_revoke_it(visit: MakeVisitor, ada: User) -> None:
    page = visit().page
    log_in(page, "ada")
    page.goto("/accounts/keys/")
    write(page, "Name", "nightly tests")
    press(page, "Make it")
    expect(page.locator("#new-key")).to_have_text(re.compile("^[0-9a-f]{32}$"))
    press(page, "Revoke nightly tests")
    expect(page.get_by_text("The key is revoked")).to_be_visible()
    assert not ApiKey.objects.exists()


def test_filter_the_history(visit: MakeVisitor, ada: User) -> None:
    common = {"user": ada, "account": ada.credit_account, "elapsed_ms": 1.0}
    Solve.objects.create(**common, outcome="solved", answer="2KXQE", text="2KXQE", charged=1)
    Solve.objects.create(**common, outcome="refused", reason="too dark", charged=0)
    page = visit().page
    log_in(page, "ada")
    press(page, "History", "link")
    expect(page.get_by_text("2KXQE")).to_be_visible()
    tab_to(page, page.get_by_label("Outcome"))
    page.keyboard.type("refused")
    press(page, "Show", "button")
    expect(page.get_by_text("too dark")).to_be_visible()
    expect(page.get_by_text("2KXQE")).to_have_count(0)
    press(page, "Show all", "link")
    expect(page.get_by_text("2KXQE")).to_be_visible()


def test_promote_a_version_compare_it_and_roll_back(
    visit: MakeVisitor, ada: User, tmp_path: Path, settings: Any
) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    page = visit().page
    settings.ARTIFACTS_ROOT = tmp_path / "trained"
    before = ModelVersion.objects.get(slug="general", state="serving")
    candidate = better(write_reader(settings.ARTIFACTS_ROOT, "general", 1001, text="GENERAL"))
    log_in(page, "ada")
    page.goto("/types/general/")
    press(page, f"Promote {candidate}", "link")
    write(page, "Reason", "it reads more")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Promoted {candidate}")).to_be_visible()
    page.goto("/types/general/")
    press(page, "Compare two versions", "link")
    press(page, "Compare", "button")
    expect(page).to_have_url(re.compile(rf"one={candidate.version}&other={before.version}"))
    page.goto("/types/general/")
    press(page, f"Roll back to {before}", "link")
    write(page, "Reason", "it read less")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Rolled back to {before}")).to_be_visible()
    assert ModelVersion.objects.get(slug="general", state="serving") == before
