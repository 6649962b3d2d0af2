"""The admin: sources in and out, a crawl begun and watched in a real browser, and who may do what."""

import contextlib
import os
import select
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, expect

from crawl import services, sources
from crawl.models import CaptchaSource, CrawlRun
from crawl.tests.conftest import Crawler, MakeSource, PracticeProcess
from jobs.models import JobRun, Schedule
from labeling.models import Sample
from tests.chromium import launched

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a password of theirs"
CONSTANT: dict[str, Any] = {
    "start_url": "/constant/sums/captcha.png",
    "start": CaptchaSource.Start.IMAGE,
    "session": CaptchaSource.Session.KEPT,
}
REPORT_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", event =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture
def boss() -> Any:
    return get_user_model().objects.create_superuser("boss", "boss@example.org", PASSWORD)


@pytest.fixture
def client_of_boss(boss: Any) -> Client:
    return client_of(boss)


def client_of(person: Any) -> Client:
    client = Client()
    client.force_login(person, backend="accounts.backends.AccountBackend")
    return client


@pytest.fixture
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        expect.set_options(timeout=180_000)  # ms; three processes begin one after the other
        yield browser
        # Those opened beside the driver's loop: once it has ended, Django sees them no more, and they stay.
        connections.close_all()


def test_a_crawl_is_begun_and_watched_in_the_browser(
    chromium: Browser,
    live_server: Any,
    boss: Any,
    make_source: MakeSource,
    crawl: Crawler,
    settings: Any,
    practice: PracticeProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_source(**CONSTANT, truth="text", truth_url=f"{practice.url}/constant/sums/answer.json")
    settings.CRAWL_ALLOWED_HOSTS = [source.host]
    for name, value in crawl.environ.items():  # the job's process is a child of this one
        monkeypatch.setenv(name, value)
    complaints: list[str] = []
    context = chromium.new_context()
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    page.on("console", lambda one: complaints.append(one.text) if one.type == "error" else None)
    session = client_of(boss).cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(f"{live_server.url}{reverse('admin:crawl_captchasource_change', args=[source.pk])}")
    page.get_by_role("link", name="Crawl now").click()
    page.get_by_label("New images").fill("4")
    page.get_by_role("button", name=f"Crawl {source}").click()
    expect(page.locator("#crawl-state")).to_have_text("complete")
    expect(page.locator("#crawl-kept")).to_have_text("4 of 4")
    expect(page.locator("#crawl-images img")).to_have_count(4)
    expect(page.locator("#crawl-log")).to_contain_text("Spider closed")
    expect(page.locator("#crawl-cancel")).to_be_hidden()
    assert page.locator("#crawl-images img").first.evaluate("image => image.naturalWidth") > 0
    assert complaints == []
    run, job = CrawlRun.objects.get(), JobRun.objects.get()
    assert run.by.startswith("boss on ")
    page.goto(f"{live_server.url}{reverse('jobs:job', args=[job.pk])}")
    expect(page.locator("#job-state")).to_have_text("succeeded")  # a moment after its crawl
    job.refresh_from_db()
    wait_for_the_end_of(job.pid)
    assert (job.kind, job.done, job.of, job.started_by) == ("crawl", 4, 4, boss)
    context.close()


def wait_for_the_end_of(pid: int | None) -> None:
    """A runner's session on the database ends with its process, a moment after the state of its run."""
    assert pid is not None
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        ended, _, _ = select.select([descriptor], [], [], 180)
        os.close(descriptor)
        assert ended


def test_a_running_crawl_is_shown_and_cancelled(
    client_of_boss: Client, make_source: MakeSource, settings: Any
) -> None:
    source = make_source(**CONSTANT)
    settings.CRAWL_ALLOWED_HOSTS = [source.host]
    run = services.begin(source=source, by="ada", count=9)
    services.beat(run=run, told=services.Beat({"HTTP 404": 2, "too large": 5}, 7, 3.0, "a line"))
    shown = client_of_boss.get(reverse("admin:crawl_captchasource_state", args=[source.pk])).json()
    assert shown["waits"] is False
    assert shown["run"]["drops"] == [["too large", 5], ["HTTP 404", 2]]
    assert (shown["run"]["state"], shown["run"]["dropped"], shown["run"]["log"]) == ("running", 7, "a line")
    cancel = client_of_boss.post(reverse("admin:crawl_captchasource_cancel", args=[source.pk]))
    assert cancel.status_code == 302
    assert services.beat(run=run, told=services.Beat()) == "somebody cancelled it"


def test_what_stands_in_the_way_of_a_crawl_is_said_before_it_begins(
    client_of_boss: Client, make_source: MakeSource
) -> None:
    source = make_source(**CONSTANT, authorised_until=None)
    address = reverse("admin:crawl_captchasource_crawl", args=[source.pk])
    answer = client_of_boss.post(address, {"count": "3"})
    assert answer.status_code == 400
    assert "does not say until when it is authorised" in answer.content.decode()
    assert client_of_boss.post(address, {"count": "0"}).status_code == 400
    assert not JobRun.objects.exists()


def test_a_source_is_saved_with_what_it_still_lacks(client_of_boss: Client, make_source: MakeSource) -> None:
    source = make_source(**CONSTANT)
    address = reverse("admin:crawl_captchasource_change", args=[source.pk])
    page = client_of_boss.get(address)
    assert 'values: {"agree": "yes"}' in page.content.decode()
    initial = page.context["adminform"].form.initial
    given = {name: value for name, value in initial.items() if value is not None and value != []}
    given |= {"hosts": "img.example.org", "consent_fields": "", "authorised_until": ""}
    refused = client_of_boss.post(address, given).content.decode()
    assert "such as [&quot;img.example.org&quot;]" in refused
    saved = client_of_boss.post(address, given | {"hosts": ""}, follow=True).content.decode()
    assert "does not say until when it is authorised" in saved
    assert "Fill in &quot;Authorised until&quot;" in saved
    source.refresh_from_db()
    assert (source.hosts, source.consent_fields, source.authorised_until) == ([], {}, None)


def test_sources_go_out_as_a_file_and_come_in_again(client_of_boss: Client, make_source: MakeSource) -> None:
    source = make_source("/consent/sums/", image="img", consent_fields={"a": "b"}, daily_at="03:30", count=7)
    exported = client_of_boss.post(
        reverse("admin:crawl_captchasource_changelist"),
        {"action": "export", "_selected_action": [source.pk]},
    )
    source.delete()
    file = SimpleUploadedFile("sources.yaml", exported.content)
    taken = client_of_boss.post(reverse("admin:crawl_captchasource_import"), {"file": file})
    assert taken.status_code == 302, taken.content.decode()
    again = CaptchaSource.objects.get()
    assert (again.slug, again.consent_fields, again.count) == (source.slug, {"a": "b"}, 7)
    assert sources.dump([again]).encode() == exported.content
    schedule = Schedule.objects.get()
    assert (schedule.kind, schedule.arguments[0], schedule.rhythm) == ("crawl", again.slug, "daily at 03:30")
    again.daily_at = None
    services.keep_schedule(again)
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: [", "This is no YAML"),
        ("- a\n- b", "must hold `sources:`"),
        ("sources: {a: 1}", "a: must hold fields and values"),
        ("sources: {a: {type: shop, colour: red}}", "colour is no field of a source"),
        ("sources: {a: {type: nobody, start_url: 'http://a.example/'}}", "there is no type nobody"),
        ("sources: {a: {type: shop, start_url: 'ftp://a.example/', image: img}}", "must begin with http"),
        ("sources: {a: {type: shop, start_url: 'http://a.example/'}}", "Say where the image is"),
        ("sources: {A B: {type: shop, start_url: 'http://a.example/', image: img}}", "Small letters, digits"),
        ("sources: {a: {type: shop, start_url: 'http://a.example/', image: img, delay: -1}}", "delay"),
        (
            "sources: {good: {type: shop, start_url: 'http://a.example/', image: img},"
            " bad: {type: shop, start_url: 'http://a.example/', image: img, count: many}}",
            "bad: count",
        ),
        ("!!python/object/apply:os.getcwd []", "This is no YAML"),
    ],
)
def test_a_file_that_makes_no_sense_changes_nothing(
    text: str, said: str, client_of_boss: Client, captcha_type: Any
) -> None:
    file = SimpleUploadedFile("sources.yaml", text.encode())
    answer = client_of_boss.post(reverse("admin:crawl_captchasource_import"), {"file": file})
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not CaptchaSource.objects.exists()


PAGES = ["crawl", "live", "state", "cancel"]


@pytest.mark.parametrize("page", PAGES)
def test_who_has_no_leave_sees_and_starts_nothing(page: str, make_source: MakeSource) -> None:
    source = make_source(**CONSTANT)
    address = reverse(f"admin:crawl_captchasource_{page}", args=[source.pk])
    assert Client().post(address).status_code == 302  # to the log-in
    customer = get_user_model().objects.create_user("eve", "eve@example.org", PASSWORD)
    assert client_of(customer).get(address).status_code == 302
    staff = get_user_model().objects.create_user("sam", "sam@example.org", PASSWORD)
    get_user_model().objects.filter(pk=staff.pk).update(is_staff=True)
    client = client_of(staff)
    assert client.get(address).status_code in (403, 405)
    assert client.post(address).status_code in (403, 405)


def test_who_may_look_may_not_start_or_cancel(make_source: MakeSource) -> None:
    source = make_source(**CONSTANT)
    staff = get_user_model().objects.create_user("sam", "sam@example.org", PASSWORD)
    get_user_model().objects.filter(pk=staff.pk).update(is_staff=True)
    staff.user_permissions.set(
        Permission.objects.filter(codename__in=["view_captchasource", "view_crawlrun"])
    )
    client = client_of(staff)
    assert client.get(reverse("admin:crawl_captchasource_live", args=[source.pk])).status_code == 200
    for page in ("crawl", "cancel"):
        assert client.post(reverse(f"admin:crawl_captchasource_{page}", args=[source.pk])).status_code == 403
    assert client.get(reverse("admin:crawl_captchasource_import")).status_code == 403
    assert not JobRun.objects.exists()


def test_the_trail_and_runs_are_for_reading(
    client_of_boss: Client, make_source: MakeSource, settings: Any
) -> None:
    source = make_source(**CONSTANT)
    settings.CRAWL_ALLOWED_HOSTS = [source.host]
    run = services.begin(source=source, by="ada")
    for model in ("crawlrun", "crawledimage", "captchasource"):
        assert client_of_boss.get(reverse(f"admin:crawl_{model}_changelist")).status_code == 200
    assert client_of_boss.get(reverse("admin:crawl_crawlrun_change", args=[run.pk])).status_code == 200
    assert client_of_boss.get(reverse("admin:crawl_crawlrun_delete", args=[run.pk])).status_code == 403
    assert client_of_boss.get(reverse("admin:crawl_crawlrun_add")).status_code == 403


def test_a_user_who_is_deleted_takes_their_private_sources_and_leaves_the_runs(
    make_source: MakeSource, settings: Any, captcha_type: Any
) -> None:
    source = make_source(**CONSTANT)
    settings.CRAWL_ALLOWED_HOSTS = [source.host]
    services.begin(source=source, by="ada")
    captcha_type.delete()
    assert not CaptchaSource.objects.exists()
    assert CrawlRun.objects.get().source_slug == source.slug
    assert not Sample.objects.exists()
