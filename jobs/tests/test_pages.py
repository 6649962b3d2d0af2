"""The page of a run, and the admin: who sees what, and what the buttons do."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from jobs import services
from jobs.models import JobRun, Schedule
from jobs.tests.conftest import StartLine

MakeUser = Callable[..., Any]


def browser_of(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


@pytest.fixture
def starter(make_user: MakeUser) -> Any:
    return make_user("ada")


@pytest.fixture
def run(queue_line: StartLine, starter: Any) -> JobRun:
    return queue_line(user=starter)


@pytest.fixture
def root(make_user: MakeUser) -> Any:
    return make_user("root", is_staff=True, is_superuser=True)


def test_an_outsider_meets_a_404(run: JobRun, make_user: MakeUser) -> None:
    for outsider in (make_user("eve"), make_user("clerk", is_staff=True)):
        browser = browser_of(outsider)
        assert browser.get(reverse("jobs:job", args=[run.pk])).status_code == 404
        assert browser.get(reverse("jobs:state", args=[run.pk])).status_code == 404
        assert browser.post(reverse("jobs:cancel", args=[run.pk])).status_code == 404
    run.refresh_from_db()
    assert run.state == "queued"
    stranger = Client()
    assert stranger.get(reverse("jobs:job", args=[run.pk])).status_code == 302
    assert stranger.get(reverse("jobs:state", args=[run.pk])).status_code == 404


def test_numbers_that_no_run_has_meet_a_404(root: Any) -> None:
    for number in (0, 10**12, 2**63, 10**40):
        assert browser_of(root).get(f"/jobs/{number}").status_code == 404


def test_whoever_may_only_look_cannot_cancel(run: JobRun, make_user: MakeUser) -> None:
    clerk = make_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_jobrun"))
    browser = browser_of(clerk)
    assert b"Cancel</button>" not in browser.get(reverse("jobs:job", args=[run.pk])).content
    assert browser.post(reverse("jobs:cancel", args=[run.pk])).status_code == 404


def test_the_starter_looks_on_and_cancels(run: JobRun, starter: Any) -> None:
    browser = browser_of(starter)
    assert "Practice" in browser.get(reverse("jobs:job", args=[run.pk])).content.decode()
    told = browser.get(reverse("jobs:state", args=[run.pk])).json()
    assert (told["state"], told["ended"], told["curve"]) == ("queued", False, [])
    assert browser.post(reverse("jobs:cancel", args=[run.pk])).status_code == 302
    told = browser.get(reverse("jobs:state", args=[run.pk])).json()
    assert (told["state"], told["ended"]) == ("cancelled", True)


def test_a_log_is_text_and_no_page(run: JobRun, root: Any) -> None:
    JobRun.objects.update(log="<script>alert(1)</script>", line="<b>", arguments=["</script><i>"])
    page = browser_of(root).get(reverse("jobs:job", args=[run.pk])).content.decode()
    for tag in ("<script>alert", "<b>", "</script><i>"):
        assert tag not in page


@pytest.mark.django_db(transaction=True)
def test_the_page_notices_a_process_that_died(queue_line: StartLine, root: Any) -> None:
    run = queue_line(kind="fragile")
    claimed = services.claim(run_id=run.pk, host="here", pid=1)
    assert claimed is not None
    JobRun.objects.update(heartbeat=claimed.created - 2 * services.LOST_AFTER)
    told = browser_of(root).get(reverse("jobs:state", args=[run.pk])).json()
    assert told["state"] == "failed"


def test_the_admin_lists_and_cancels_but_changes_nothing(run: JobRun, root: Any) -> None:
    browser = browser_of(root)
    listed = browser.get(reverse("admin:jobs_jobrun_changelist"))
    assert reverse("jobs:job", args=[run.pk]) in listed.content.decode()
    assert browser.get(reverse("admin:jobs_jobrun_add")).status_code == 403
    assert browser.get(reverse("admin:jobs_jobrun_change", args=[run.pk])).status_code == 200
    browser.post(reverse("admin:jobs_jobrun_changelist"), {"action": "cancel", "_selected_action": [run.pk]})
    run.refresh_from_db()
    assert run.state == "cancelled"


def test_a_schedule_takes_the_words_as_they_are_typed(root: Any) -> None:
    form = {
        "kind": "practice",
        "arguments": "shop --images 'a folder'",
        "every_minutes": "30",
        "daily_at": "",
        "enabled": "on",
        "next_run_0": "2030-01-01",
        "next_run_1": "00:00",
    }
    browser = browser_of(root)
    address = reverse("admin:jobs_schedule_add")
    assert browser.post(address, form | {"arguments": "'open"}).status_code == 200
    assert browser.post(address, form | {"daily_at": "03:00"}).status_code == 200
    assert browser.post(address, form | {"kind": "nonsense"}).status_code == 200
    assert not Schedule.objects.exists()
    assert browser.post(address, form).status_code == 302
    schedule = Schedule.objects.get()
    assert schedule.arguments == ["shop", "--images", "a folder"]
    page = browser.get(reverse("admin:jobs_schedule_change", args=[schedule.pk])).content.decode()
    assert "shop --images &#x27;a folder&#x27;" in page
