"""The labelling page in a real browser: keys alone, from one image to the next."""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from labeling.models import Assignment, Label, Sample
from labeling.reports import add_reported
from labeling.tests.conftest import PASSWORD, drawn
from ml.models import CaptchaType
from tests.chromium import REPORT_VIOLATIONS

pytestmark = pytest.mark.django_db(transaction=True)

MakeSample = Callable[..., Sample]


class Labeller:
    """A person at the page, logged in as they would be."""

    def __init__(self, browser: Browser, address: str, name: str) -> None:
        self.context = browser.new_context()
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.address = address
        self.complaints: list[str] = []
        self.page = self.new_page()
        self.page.goto(f"{address}/labeling/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("heading", name="Labelling")).to_be_visible()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def open(self, mode: str = "type") -> Page:
        self.page.goto(f"{self.address}/labeling/shop/?mode={mode}")
        return self.page

    def shows(self, state: str) -> None:
        expect(self.page.locator("#state")).to_have_attribute("data-state", state)

    def has_an_image(self) -> None:
        expect(self.page.locator("#stage img")).to_be_visible()

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def all_saved(self) -> None:
        expect(self.page.locator("#waiting")).to_have_text("0")


@pytest.fixture
def at_the_page(
    chromium: Browser, live_server: Any, captcha_type: CaptchaType
) -> Iterator[Callable[[Any], Labeller]]:
    opened: list[Labeller] = []

    def open_for(person: Any) -> Labeller:
        opened.append(Labeller(chromium, live_server.url, person.username))
        return opened[-1]

    yield open_for
    for one in opened:
        one.context.close()


def texts() -> list[str]:
    return list(Label.objects.filter(undone_at=None).order_by("id").values_list("text", flat=True))


def test_images_are_labelled_with_the_keyboard_alone(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(12):
        make_sample(priority=number)
    person = at_the_page(ada)
    person.open()
    person.has_an_image()
    for number in range(12):
        person.type(f"ab{number}")
    person.shows("empty")
    for useless in ("#stage", "#text", "[data-action=accept]", "[data-action=larger]"):
        expect(person.page.locator(useless)).to_be_hidden()
    expect(person.page.get_by_role("link", name="All types").last).to_be_visible()
    expect(person.page.get_by_role("button", name="Undo")).to_be_visible()
    person.all_saved()
    assert texts() == [f"AB{number}" for number in range(12)]
    samples = [label.sample.priority for label in Label.objects.order_by("id").select_related("sample")]
    assert samples == sorted(samples)  # each text went to the image that was shown
    expect(person.page.locator("#done")).to_have_text("12 of 12")
    expect(person.page.locator("#recent li")).to_have_count(10)
    assert person.complaints == []


def test_a_prediction_is_accepted_with_one_key_and_shows_how_sure_it_is(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    make_sample(confidence=0.6, prediction="ABC", characters=[0.99, 0.8, 0.5])
    person = at_the_page(ada)
    page = person.open("verify")
    expect(page.locator("#text")).to_have_value("ABC")
    shown = [page.locator("#sureness span").nth(place) for place in range(3)]
    for span, style in zip(shown, ("solid", "dashed", "dotted"), strict=True):
        expect(span).to_have_css("border-top-style", style)
    expect(page.locator("#hint")).to_contain_text("C (3)")
    page.keyboard.press("Enter")
    person.all_saved()
    label = Label.objects.get()
    assert (label.text, label.mode, label.prefill_changed) == ("ABC", "verify", False)


def test_typing_replaces_a_prediction_and_an_arrow_edits_it(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(3):
        make_sample(priority=number, confidence=0.6, prediction="ABC", characters=[0.9, 0.9, 0.5])
    person = at_the_page(ada)
    page = person.open("verify")
    expect(page.locator("#text")).to_have_value("ABC")
    page.get_by_role("button", name="Larger").click()  # and the prediction is still selected
    person.type("XY")
    expect(page.locator("#text")).to_have_value("ABC")
    page.keyboard.press("End")
    person.type("D")
    expect(page.locator("#text")).to_have_value("ABC")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    person.type("Z1")
    person.all_saved()
    assert texts() == ["XY", "ABCD", "Z1"]


def test_what_was_typed_is_gone_on_with_and_not_selected_away(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(2):
        make_sample(priority=number, confidence=0.6, prediction="ABC", characters=[0.9, 0.9, 0.5])
    person = at_the_page(ada)
    page = person.open("verify")
    expect(page.locator("#text")).to_have_value("ABC")
    page.keyboard.type("X")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#text")).to_have_value("ABC")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#text")).to_have_value("X")
    person.type("Y")
    person.all_saved()
    assert texts() == ["XY"]


def test_undo_brings_the_image_and_the_text_back(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(3):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    person.type("AB")
    person.type("CD")
    person.all_saved()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_value("AB")
    page.keyboard.press("Backspace")
    person.type("X")
    person.type("")  # CD stands there already
    person.all_saved()
    assert texts() == ["AX", "CD"]


def test_the_last_labels_are_corrected_by_a_click(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(2):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    person.type("AB")
    page.locator("#recent button").first.click()
    expect(page.locator("#text")).to_have_value("AB")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Escape")
    person.type("AC")
    person.all_saved()
    assert texts() == ["AC"]


def test_commands_by_key_by_sign_and_by_button(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(7):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    for key in ("F2", "F4", "F8"):
        page.keyboard.press(key)
    for sign in ("?", "!", "."):
        person.type(sign)
    page.locator("[data-action=unreadable]").click()
    person.all_saved()
    kinds = list(Label.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["unreadable", "flagged", "skipped"] * 2 + ["unreadable"]


def test_a_sign_of_the_alphabet_is_no_command(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample, captcha_type: CaptchaType
) -> None:
    CaptchaType.objects.update(alphabet="0123456789+=?", min_length=1)
    make_sample()
    person = at_the_page(ada)
    person.open()
    person.has_an_image()
    person.type("?")
    person.all_saved()
    assert texts() == ["?"]


def test_the_rules_are_applied_while_typing(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    expect(page.locator("#rule")).to_contain_text("2 to 6 characters")
    page.keyboard.type("A_")
    expect(page.locator("#hint")).to_have_text("_ is not in the alphabet.")
    page.keyboard.press("Enter")
    person.shows("refused")
    expect(page.locator("#text")).to_have_value("A_")
    assert not Label.objects.exists()


def test_zoom_colour_and_help(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    image = page.locator("#stage img")
    expect(image).to_have_css("image-rendering", "pixelated")
    before = image.get_attribute("width")
    page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("#zoom")).to_have_text("1.25")
    for _ in range(8):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#zoom")).to_have_text("0.5")
    after = image.get_attribute("width")
    assert before is not None
    assert after is not None
    assert int(after) < int(before)
    assert int(after) % 120 == 0
    page.keyboard.press("F9")
    expect(image).to_have_css("filter", "grayscale(1)")
    page.keyboard.press("Shift+F9")
    expect(image).to_have_css("filter", "grayscale(1) contrast(2)")
    page.keyboard.press("F1")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#text")).to_be_focused()


def test_nothing_typed_is_lost_when_the_network_and_then_the_tab_are(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(4):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    person.type("AA")
    person.all_saved()
    person.context.set_offline(True)
    person.type("AB")
    person.type("AC")
    person.shows("offline")
    expect(page.locator("#state")).to_contain_text("2 waiting")
    page.keyboard.type("AD")
    assert texts() == ["AA"]
    page.close()
    person.context.set_offline(False)
    person.page = person.new_page()
    person.open()
    person.all_saved()
    assert texts() == ["AA", "AB", "AC"]
    # The half typed text is kept for when its image comes again; the lost tab still holds the lease.
    Sample.objects.update(lease_until=None)
    person.open()
    expect(person.page.locator("#text")).to_have_value("AD")


def test_saves_go_on_when_the_answer_was_lost(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(3):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    lost: list[int] = []

    def lose_the_first_answers(route: Route) -> None:
        if len(lost) < 2:
            lost.append(route.fetch().status)  # it arrived there, and the answer did not arrive here
            route.abort()
        else:
            route.continue_()

    page.route("**/operations", lose_the_first_answers)
    for text in ("AA", "AB", "AC"):
        person.type(text)
    person.all_saved()
    assert len(lost) == 2
    assert texts() == ["AA", "AB", "AC"]
    assert Label.objects.count() == 3


def test_a_session_that_ended_is_begun_again_without_losing_the_field(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(3):
        make_sample(priority=number)
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    person.context.clear_cookies(name="sessionid")
    person.type("AA")
    dialog = page.get_by_role("dialog", name="You are no longer logged in")
    expect(dialog).to_be_visible()
    person.shows("expired")
    dialog.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#login-problem")).to_have_text("That password does not fit.")
    dialog.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    person.all_saved()
    person.type("AB")
    person.all_saved()
    assert texts() == ["AA", "AB"]


def test_who_has_the_image_is_told_and_the_text_kept(
    at_the_page: Callable[[Any], Labeller], ada: Any, ben: Any, make_sample: MakeSample
) -> None:
    make_sample()
    person = at_the_page(ada)
    page = person.open()
    person.has_an_image()
    Sample.objects.update(lease_person=ben)
    person.type("AA")
    expect(page.locator("#kept")).to_have_text("ben has this image now. Your text AA is kept.")
    expect(page.locator("#waiting")).to_have_text("1")


def test_an_image_that_fails_says_so(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    make_sample()
    person = at_the_page(ada)
    page = person.page
    page.route(re.compile("/labeling/images/"), lambda route: route.abort())
    person.open()
    person.shows("failed")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    person.shows("ready")


def test_the_grid_accepts_a_page_with_one_key(
    at_the_page: Callable[[Any], Labeller], ada: Any, make_sample: MakeSample
) -> None:
    for number in range(14):
        make_sample(
            confidence=0.999 - number / 1000, prediction=f"G{number}", characters=[1.0] * len(f"G{number}")
        )
    person = at_the_page(ada)
    page = person.open("grid")
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(12)
    expect(page.get_by_label("Image 1", exact=True)).to_be_focused()
    page.keyboard.type("XY")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(tiles.nth(1)).to_contain_text("Left out")
    page.keyboard.press("Enter")
    expect(tiles).to_have_count(2)
    person.all_saved()
    assert texts() == ["XY", "", *[f"G{number}" for number in range(2, 12)]]
    page.keyboard.press("Control+z")
    expect(tiles).to_have_count(12)
    person.all_saved()
    assert texts() == []
    page.keyboard.press("Enter")
    expect(tiles).to_have_count(2)
    page.keyboard.press("Enter")
    person.shows("empty")
    person.all_saved()
    assert Label.objects.filter(undone_at=None).count() == 14


def test_the_third_person_reads_blind_and_then_sees_both(
    at_the_page: Callable[[Any], Labeller],
    ada: Any,
    ben: Any,
    cleo: Any,
    make_sample: MakeSample,
    page_of: Any,
) -> None:
    make_sample(split="test")
    page_of(ada).read("AB")
    page_of(ben).read("AC")
    person = at_the_page(cleo)
    page = person.open("disagreement")
    person.has_an_image()
    expect(page.locator("#text")).to_have_value("")
    person.type("AD")
    expect(page.locator("#others")).to_contain_text("You read AD. The others read AB and AC.")
    page.get_by_role("button", name="Take AC").click()
    person.all_saved()
    person.shows("empty")
    assert Sample.objects.get().text == "AC"


def test_files_and_zips_are_imported_in_the_browser(
    at_the_page: Callable[[Any], Labeller], boss: Any, captcha_type: CaptchaType, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for text in ("AB", "AC", "AD"):
        (folder / f"{text}.png").write_bytes(drawn())
    (folder / "note.txt").write_text("no image")
    (folder / "labels.csv").write_text("filename,label\nAB.png,AX\n")
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("AE.png", drawn())
    person = at_the_page(boss)
    page = person.page
    page.goto(f"{person.address}/labeling/shop/import")
    page.get_by_label("A folder").set_input_files(folder)
    expect(page.locator("#state")).to_have_text("Done. 3 added, 0 known already, 1 labelled, 1 left out")
    expect(page.locator("#skipped li")).to_contain_text(["note.txt"])
    page.get_by_label("Files or a zip").set_input_files(archive)
    expect(page.locator("#state")).to_have_text("Done. 4 added, 0 known already, 1 labelled, 1 left out")
    assert Sample.objects.count() == 4
    assert Label.objects.get().text == "AX"
    assert person.complaints == []


def test_the_log_in_page_leads_back(live_server: Any, ada: Any) -> None:
    answer = Client().get("/labeling/shop/")
    assert answer.headers["Location"] == "/accounts/login/?next=/labeling/shop/"
    assert not Assignment.objects.exists()


def test_what_a_customer_read_is_shown_beside_the_prediction_and_not_to_the_blind(
    at_the_page: Callable[[Any], Labeller], ada: Any
) -> None:
    add_reported(type_slug="shop", image_bytes=drawn("AC"), read="AB", correction="A<C", reference="solve 1")
    person = at_the_page(ada)
    person.context.route("**/release", lambda route: route.fulfill(json={}))  # too late
    person.open("verify")
    person.has_an_image()
    expect(person.page.locator("#reported")).to_have_text("Reported as wrong; read by the customer: A<C")
    person.open("type")
    person.has_an_image()
    expect(person.page.locator("#reported")).to_be_hidden()
    person.open("verify")
    person.has_an_image()
    person.type("AC")
    person.shows("empty")
    expect(person.page.locator("#reported")).to_be_hidden()
    assert person.complaints == []
