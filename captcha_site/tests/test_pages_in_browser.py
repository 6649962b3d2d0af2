"""The pages in a real browser, with the shipped models: by keys alone, dark and light, phone to desktop."""

import base64
import re
import threading
from typing import Any

import pytest
from django.core import mail
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from playwright.sync_api import expect

from accounts import api_keys
from accounts.mail import THREAD
from accounts.models import Acceptance, ApiKey, User
from captcha_site.tests.browsing import AXE, PASSWORD, TAGS, VIOLATIONS, MakeVisitor
from solving.models import Solve, SolveReport
from solving.samples import SAMPLES

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_stranger_reads_a_sample_with_the_keyboard(visit: MakeVisitor) -> None:
    visitor = visit()
    page = visitor.page
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="type B")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".answer")).to_have_text("68")
    expect(page.locator("#result")).to_contain_text("60+8=?")
    expect(page.locator("#result")).to_be_focused()
    assert not Solve.objects.exists()
    assert visitor.complaints == []


def test_the_sample_is_read_without_scripts_too(visit: MakeVisitor) -> None:
    page = visit(java_script_enabled=False).page
    page.goto("/")
    page.get_by_role("button", name="type B").click()
    expect(page.locator(".answer")).to_have_text("68")


def test_from_signing_up_to_the_first_answer(visit: MakeVisitor) -> None:
    visitor = visit()
    page = visitor.page
    page.goto("/accounts/sign-up/")
    page.get_by_label("Name").fill("grace")
    page.get_by_label("E-mail address").fill("grace@example.org")
    page.get_by_label("Password").fill("short")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Read the policy and accept it")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("grace")  # what was typed stays
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Playground")).to_be_visible()
    assert Acceptance.objects.get().user.username == "grace"
    page.get_by_label("Picture").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": SAMPLES[0].image}
    )
    expect(page.get_by_alt_text("The chosen picture")).to_be_visible()
    page.get_by_role("button", name="Read it", exact=True).click()
    expect(page.locator(".answer")).to_have_text("K9XEF")
    expect(page.locator("#balance")).to_have_text("9")
    assert Solve.objects.get().charged == 1
    # The browser itself notes each answer of 400, which a form with errors has.
    assert [one for one in visitor.complaints if "400 (Bad Request)" not in one] == []


def test_a_picture_is_dropped_pasted_and_an_answer_reported(visit: MakeVisitor, ada: User) -> None:
    visitor = visit()
    visitor.log_in("ada")
    page = visitor.page
    page.goto("/playground")
    put = """([event, data]) => {
        const carrier = new DataTransfer();
        carrier.items.add(new File([Uint8Array.from(data)], "a.png", {type: "image/png"}));
        const [place, made] = event == "paste"
            ? [document, new ClipboardEvent("paste", {clipboardData: carrier})]
            : [document.getElementById("drop"), new DragEvent("drop", {dataTransfer: carrier})];
        place.dispatchEvent(made);
    }"""
    for event, sample, answer in (("drop", SAMPLES[0], "K9XEF"), ("paste", SAMPLES[1], "68")):
        page.evaluate(put, [event, list(sample.image)])
        expect(page.get_by_role("button", name="Read it", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_have_text(answer)
    expect(page.locator("#result")).to_contain_text("/api/v1/solves")
    page.get_by_label("Type the right text").fill("69")
    page.keyboard.press("Enter")
    expect(page.locator("#report")).to_contain_text("Thank you")
    assert SolveReport.objects.get().correction == "69"
    assert visitor.complaints == []


def test_what_is_wrong_is_said_at_the_field(visit: MakeVisitor, ada: User) -> None:
    visitor = visit()
    visitor.log_in("ada")
    page = visitor.page
    page.goto("/playground")
    page.get_by_text("What do you know of it?").click()
    page.get_by_label("Shortest").fill("ten")
    page.get_by_role("button", name="Read it", exact=True).click()
    expect(page.locator("#error-image")).to_contain_text("Choose a picture")
    expect(page.locator("#error-min_length")).to_contain_text("must be a whole number")
    expect(page.get_by_label("Picture")).to_be_focused()
    expect(page.get_by_label("Shortest")).to_have_value("ten")
    expect(page.get_by_label("Shortest")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Shortest")).to_have_accessible_error_message(re.compile("whole number"))
    expect(page.locator("#problem")).to_have_text("Nothing was read: see what is said at the fields.")
    expect(page.locator("#problem")).to_be_in_viewport()
    expect(page.locator("#result")).to_be_hidden()
    page.get_by_label("Shortest").fill("5")
    page.get_by_label("Longest").fill("2")
    page.get_by_label("Picture").set_input_files(
        {"name": "a.tif", "mimeType": "image/tiff", "buffer": b"II*\0 no browser shows it"}
    )
    expect(page.get_by_alt_text("The chosen picture")).to_be_hidden()
    page.get_by_role("button", name="Read it", exact=True).click()
    expect(page.locator("#error-min_length")).to_contain_text("Shortest is 5 and Longest is 2")
    assert not Solve.objects.exists()


def test_a_phone_shows_what_ends_a_key_or_a_log_in(visit: MakeVisitor, ada: User) -> None:
    api_keys.create(user=ada, name="nightly tests of the shop", allowed_networks=["192.0.2.0/24"])
    visit().log_in("ada")
    phone = visit(viewport={"width": 390, "height": 800})
    phone.log_in("ada")
    page = phone.page
    for address, button in (("/accounts/keys/", "Revoke"), ("/accounts/sessions/", "End the log-in")):
        page.goto(address)
        place = page.get_by_role("button", name=button).bounding_box()
        assert place is not None
        assert place["x"] + place["width"] < 380
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_key_is_shown_once_and_revoked(visit: MakeVisitor, ada: User) -> None:
    visitor = visit()
    visitor.log_in("ada")
    page = visitor.page
    page.goto("/accounts/keys/")
    page.get_by_label("Name").fill("nightly tests")
    page.get_by_role("button", name="Make it").click()
    shown = page.locator("#new-key")
    expect(shown).to_have_text(re.compile("^[0-9a-f]{32}$"))
    assert ApiKey.objects.get().prefix == shown.inner_text()[:6]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == shown.inner_text()
    page.reload()  # sends no form again
    assert ApiKey.objects.count() == 1
    expect(shown).to_have_count(0)
    page.get_by_role("button", name="Revoke nightly tests").click()
    expect(page.get_by_text("The key is revoked")).to_be_visible()
    assert not ApiKey.objects.exists()
    assert visitor.complaints == []


def test_a_second_factor_is_set_up_and_asked_for(visit: MakeVisitor, ada: User) -> None:
    visitor = visit(color_scheme="dark", viewport={"width": 360, "height": 800})
    visitor.log_in("ada")
    page = visitor.page

    def barriers() -> list[str]:
        page.evaluate(AXE)
        found: list[str] = page.evaluate(VIOLATIONS, TAGS)
        wide = page.evaluate("document.documentElement.scrollWidth") > 360
        return found + ["wider than the screen"] * wide

    page.goto("/accounts/two-factor/")
    page.get_by_role("button", name="Set it up").click()
    picture = page.get_by_alt_text("QR code of the secret below")
    expect(picture).to_be_visible()
    assert picture.evaluate("one => one.naturalWidth") > 100
    assert barriers() == []
    secret = base64.b32decode(page.locator("#secret").inner_text().replace(" ", ""))
    page.get_by_label("Code").fill(f"{TOTP(secret).token():06d}")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")
    codes = page.locator("#backup-codes li")
    expect(codes).to_have_count(10)
    code = codes.first.inner_text()
    assert barriers() == []
    page.get_by_role("button", name="Log out").click()
    page.goto("/accounts/login/")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The code of your second factor")).to_be_visible()
    assert barriers() == []
    page.get_by_label("Code").fill("abcdefgh")
    page.keyboard.press("Enter")
    expect(page.locator("#error-code")).to_contain_text("That is not the code")
    StaticDevice.objects.update(throttling_failure_count=0)  # or it would be told to wait for a second
    page.get_by_label("Code").fill(code)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ada")).to_be_visible()
    assert [one for one in visitor.complaints if "400 (Bad Request)" not in one] == []


def test_an_address_is_confirmed_by_the_mails_link(visit: MakeVisitor, settings: Any) -> None:
    settings.VERIFY_EMAIL, settings.EMAIL_URL = True, "smtp://mail.example.org"
    visitor = visit()
    page = visitor.page
    page.goto("/accounts/sign-up/")
    page.get_by_label("Name").fill("grace")
    page.get_by_label("E-mail address").fill("grace@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("I have read").check()
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("Look into your mail")).to_be_visible()
    page.evaluate(AXE)
    assert page.evaluate(VIOLATIONS, TAGS) == []
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(timeout=60)
    link = re.search(r"http\S+/confirm/\S+", str(mail.outbox[0].body))
    assert link is not None
    page.goto(link[0])
    page.evaluate(AXE)
    assert page.evaluate(VIOLATIONS, TAGS) == []
    page.get_by_role("button", name="Yes, confirm it").click()
    expect(page.get_by_text("10 credits are on your account")).to_be_visible()
    expect(page.locator("#balance")).to_have_text("10")
    assert visitor.complaints == []
