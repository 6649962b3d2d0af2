"""The own log-ins by browser: what is shown of them, and ending them."""

import io
import re
import zipfile

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts import own_sessions
from accounts.models import LoginSession, User

from .conftest import PASSWORD
from .test_pages import browser_of

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"
)


def log_in(user: User, browser: str, address: str, path: str = "/accounts/login/") -> Client:
    client = Client(headers={"Accept": "text/html", "User-Agent": browser}, REMOTE_ADDR=address)
    client.post(path, {"username": user.username, "password": PASSWORD})
    return client


def handles(client: Client) -> list[str]:
    page = client.get("/accounts/sessions/").content.decode()
    return re.findall(r"/accounts/sessions/(\w+)/end", page)


def test_each_is_shown_with_when_where_and_what(alice: User, outsider: User) -> None:
    here = log_in(alice, FIREFOX, "192.0.2.1")
    log_in(alice, PHONE, "2001:db8::7", "/admin/login/")
    log_in(outsider, FIREFOX, "198.51.100.9")
    page = here.get("/accounts/sessions/").content.decode()
    for shown in ("Firefox on Linux", "192.0.2.1", "this one", f"{timezone.now():%Y-%m-%d}"):
        assert shown in page
    assert "198.51.100.9" not in page
    keys = LoginSession.objects.values_list("session_key", flat=True)
    assert not [key for key in keys if key in page]  # nothing that opens a session


def test_one_is_ended_by_its_owner_alone(alice: User, outsider: User) -> None:
    here, there = log_in(alice, FIREFOX, "192.0.2.1"), log_in(alice, PHONE, "192.0.2.2")
    stranger = log_in(outsider, FIREFOX, "198.51.100.9")
    [handle] = handles(here)
    stranger.post(f"/accounts/sessions/{handle}/end")
    assert there.get("/accounts/").status_code == 200
    here.post(f"/accounts/sessions/{handle}/end")
    assert there.get("/accounts/").status_code == 302
    assert here.get("/accounts/").status_code == 200
    assert handles(here) == []


def test_all_others_are_ended_and_nobody_elses(alice: User, outsider: User) -> None:
    here = log_in(alice, FIREFOX, "192.0.2.1")
    others = [log_in(alice, PHONE, f"192.0.2.{number}") for number in (2, 3)]
    stranger = log_in(outsider, FIREFOX, "198.51.100.9")
    assert "ended: 2" in here.post("/accounts/sessions/end-others", follow=True).content.decode()
    assert [client.get("/accounts/").status_code for client in (here, *others)] == [200, 302, 302]
    assert stranger.get("/accounts/").status_code == 200


def test_a_new_password_ends_all_but_the_one_that_set_it(alice: User) -> None:
    here, there = log_in(alice, FIREFOX, "192.0.2.1"), log_in(alice, PHONE, "192.0.2.2")
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert here.post("/accounts/password/", new | {"old_password": PASSWORD}).status_code == 302
    assert there.get("/accounts/").status_code == 302
    page = here.get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page
    assert "Chrome on Android" not in page


def test_they_go_with_the_person_and_with_time(alice: User, outsider: User) -> None:
    client = log_in(alice, FIREFOX, "192.0.2.1")
    log_in(outsider, FIREFOX, "192.0.2.2")
    LoginSession.objects.filter(user=outsider).update(expire_date=timezone.now())
    assert own_sessions.of(outsider, this=None) == []
    call_command("clearsessions")
    client.post("/accounts/delete/", {"password": PASSWORD})
    assert not LoginSession.objects.filter(user__isnull=False).exists()
    assert not Session.objects.exists()  # Django's own table is not used


def test_a_token_is_no_log_in_of_a_browser(alice: User, client: Client) -> None:
    form = {"username": "alice", "password": PASSWORD}
    assert client.post("/get_token", form).status_code == 200
    assert not LoginSession.objects.exists()


def test_the_export_holds_them_without_what_opens_them(alice: User) -> None:
    client = log_in(alice, FIREFOX, "192.0.2.1")
    exported = browser_contents(client)
    assert "Firefox on Linux" in exported
    assert str(client.session.session_key) not in exported


def browser_contents(client: Client) -> str:
    archive = zipfile.ZipFile(io.BytesIO(client.post("/accounts/data/export").getvalue()))
    return "".join(archive.read(name).decode() for name in archive.namelist())


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (PHONE, "Chrome on Android"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.9.1", "curl/8.9.1"),
        ("<b>\u202e" + "x" * 500, "<b>" + "x" * 57),
        ("", ""),
    ],
)
def test_browsers_are_named(user_agent: str, name: str) -> None:
    assert own_sessions.name_of(user_agent) == name


def test_strangers_see_none() -> None:
    assert browser_of().get("/accounts/sessions/").status_code == 302
