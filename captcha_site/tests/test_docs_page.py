"""/api/docs/: Swagger UI in a real browser, under the strict content security policy."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from tests.chromium import REPORT_VIOLATIONS


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    page.add_init_script(REPORT_VIOLATIONS)
    yield page
    page.close()


def test_the_page_carries_no_script_and_no_style_of_its_own() -> None:
    response = Client().get("/api/docs/")
    html = response.content.decode()
    assert "'unsafe-inline'" not in response["Content-Security-Policy"]
    assert "<style" not in html
    assert html.count("<script") == html.count("<script src=") == 2
    assert "https://" not in html


def test_it_has_the_sites_header_and_follows_the_colour_scheme(live_server: Any, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{live_server.url}/api/docs/")
    title = page.locator("#swagger-ui .title")
    expect(title).to_be_visible()
    expect(page.locator("body")).to_have_css("background-color", "rgb(18, 23, 29)")
    bright = title.evaluate("one => getComputedStyle(one).color.match(/[0-9]+/g).every(part => part > 150)")
    assert bright
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class("dark-mode")
    page.get_by_role("link", name="Captcha Solving Service").click()
    expect(page).to_have_url(f"{live_server.url}/")


def test_a_request_is_tried_without_a_violation_of_the_policy(live_server: Any, page: Page) -> None:
    complaints: list[str] = []
    strangers: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: strangers.append(request.url))

    page.goto(f"{live_server.url}/api/docs/")
    expect(page.locator("#operations-solves-solve")).to_be_visible()
    operation = page.locator("#operations-captcha-types-captcha_types_list")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text("200")

    assert complaints == []
    assert [url for url in strangers if not url.startswith((live_server.url, "data:"))] == []
