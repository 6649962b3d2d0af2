"""The second factor: setting it up, logging in with it by every door, guessing it, losing it."""

import io
import re
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import two_factor
from accounts.mail import THREAD
from accounts.models import User

from .conftest import PASSWORD, MakeUser
from .test_ledger_concurrency import in_threads
from .test_pages import browser_of

pytestmark = pytest.mark.django_db(transaction=True)

NO_CODE = "000000"


@pytest.fixture(autouse=True)
def _mails_end() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(timeout=60)


def code_of(user: User, *, confirmed: bool = True) -> str:
    """What the app shows now; a code counts once, so the device is told that none was given yet."""
    device = TOTPDevice.objects.get(user=user, confirmed=confirmed)
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1, throttling_failure_count=0)
    return f"{TOTP(device.bin_key).token():06d}"


def wrong_code(user: User) -> str:
    """None that the app shows within the minute around now."""
    device = TOTPDevice.objects.get(user=user)
    shown = {f"{TOTP(device.bin_key, drift=drift).token():06d}" for drift in range(-3, 4)}
    return next(
        code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in shown
    )


def set_up(user: User) -> list[str]:
    """The back-up codes."""
    two_factor.begin(user=user)
    return two_factor.confirm(user=user, code=code_of(user, confirmed=False))[1]


def log_in(user: User, path: str = "/accounts/login/") -> Client:
    """By the password alone."""
    client = browser_of()
    client.post(path, {"username": user.username, "password": PASSWORD})
    return client


class TestSettingUp:
    def test_from_the_account_page_to_back_up_codes_that_are_shown_once(self, alice: User) -> None:
        client = browser_of(alice)
        assert client.post("/accounts/two-factor/begin").status_code == 302
        page = client.get("/accounts/two-factor/").content.decode()
        secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page)
        assert secret is not None
        assert secret[1] == two_factor.secret_of(TOTPDevice.objects.get())
        assert 'src="data:image/svg+xml' in page
        given = {"code": code_of(alice, confirmed=False), "password": PASSWORD}
        page = client.post("/accounts/two-factor/confirm", given).content.decode()
        codes = re.findall(r"<li>([a-z2-7]{8})</li>", page)
        assert len(set(codes)) == two_factor.BACKUP_CODES
        again = client.get("/accounts/two-factor/").content.decode()
        assert codes[0] not in again
        assert "10 back-up codes are left" in again
        assert client.get("/accounts/").status_code == 200  # this session has given the code
        assert not StaticToken.objects.filter(token__in=codes).exists()  # digests alone are kept

    @pytest.mark.parametrize("wrong", [{"code": NO_CODE}, {"password": "guess"}, {"code": ""}])
    def test_a_wrong_code_or_password_changes_nothing(self, alice: User, wrong: dict[str, str]) -> None:
        client = browser_of(alice)
        client.post("/accounts/two-factor/begin")
        given = {"code": code_of(alice, confirmed=False), "password": PASSWORD} | wrong
        if given["code"] == NO_CODE:
            given["code"] = wrong_code(alice)
        assert client.post("/accounts/two-factor/confirm", given).status_code == 400
        assert not two_factor.has_device(alice)
        assert log_in(alice).get("/accounts/").status_code == 200

    def test_another_phone_replaces_the_first(self, alice: User) -> None:
        set_up(alice)
        first = TOTPDevice.objects.get()
        two_factor.begin(user=alice)
        assert two_factor.device_of(alice) == first
        two_factor.confirm(user=alice, code=code_of(alice, confirmed=False))
        assert TOTPDevice.objects.get().key != first.key

    def test_it_is_removed_and_new_codes_are_made_with_the_password_alone(self, alice: User) -> None:
        old = set_up(alice)
        client = log_in(alice)
        client.post("/accounts/two-factor/code/", {"code": code_of(alice)})
        for path in ("codes", "remove"):
            assert client.post(f"/accounts/two-factor/{path}", {"password": "guess"}).status_code == 400
        page = client.post("/accounts/two-factor/codes", {"password": PASSWORD}).content.decode()
        new = re.findall(r"<li>([a-z2-7]{8})</li>", page)
        with pytest.raises(two_factor.WrongCode):
            two_factor.check(user=alice, code=old[0])
        StaticDevice.objects.update(throttling_failure_count=0)
        assert two_factor.check(user=alice, code=new[0].upper())
        assert client.post("/accounts/two-factor/remove", {"password": PASSWORD}).status_code == 302
        assert log_in(alice).get("/accounts/").status_code == 200


class TestLoggingIn:
    @pytest.mark.parametrize("door", ["/accounts/login/", "/admin/login/"])
    def test_the_password_alone_opens_nothing_by_any_door(self, root: User, door: str) -> None:
        set_up(root)
        client = log_in(root, door)
        for path in ("/accounts/", "/accounts/keys/", "/accounts/password/", "/admin/", "/labeling/", "/"):
            answer = client.get(path)
            assert answer.status_code == 302, path
            assert answer["Location"] == f"/accounts/two-factor/code/?next={path}"
        for path in ("/accounts/two-factor/remove", "/accounts/keys/", "/admin/accounts/user/add/"):
            assert client.post(path, {"password": PASSWORD})["Location"] == "/accounts/two-factor/code/"
        call = client.get("/labeling/", headers={"Accept": "application/json"})
        assert (call.status_code, call.json()["code"]) == (401, "session_expired")
        assert two_factor.has_device(root)

    def test_the_code_opens_the_page_that_was_wanted(self, root: User) -> None:
        set_up(root)
        client = log_in(root)
        page = client.get("/admin/", follow=True).content.decode()
        assert "The code of your second factor" in page
        assert 'value="/admin/"' in page
        key = client.session.session_key
        answer = client.post("/accounts/two-factor/code/", {"code": code_of(root), "next": "/admin/"})
        assert answer["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200
        assert client.session.session_key != key

    def test_nobody_is_sent_elsewhere(self, root: User) -> None:
        set_up(root)
        given = {"code": code_of(root), "next": "https://example.org/"}
        assert log_in(root).post("/accounts/two-factor/code/", given)["Location"] == "/accounts/"

    def test_a_code_counts_once(self, alice: User) -> None:
        set_up(alice)
        code = code_of(alice)
        assert log_in(alice).post("/accounts/two-factor/code/", {"code": code}).status_code == 302
        assert log_in(alice).post("/accounts/two-factor/code/", {"code": code}).status_code == 400

    def test_a_back_up_code_counts_once(self, alice: User) -> None:
        codes = set_up(alice)
        client = log_in(alice)
        assert client.post("/accounts/two-factor/code/", {"code": codes[0]}).status_code == 302
        assert client.get("/accounts/").status_code == 200
        assert log_in(alice).post("/accounts/two-factor/code/", {"code": codes[0]}).status_code == 400

    def test_of_parallel_log_ins_with_one_code_one_gets_in(self, alice: User) -> None:
        set_up(alice)
        code = code_of(alice)

        def check(number: int) -> bool:
            try:
                two_factor.check(user=alice, code=code)
            except (two_factor.WrongCode, two_factor.TooManyCodes):
                return False
            return True

        assert sorted(in_threads(6, check)) == [False] * 5 + [True]

    def test_after_a_wrong_code_the_wait_doubles_even_for_the_right_one(self, alice: User) -> None:
        set_up(alice)
        client = log_in(alice)
        TOTPDevice.objects.update(last_t=-1)
        wrong = wrong_code(alice)
        answer = client.post("/accounts/two-factor/code/", {"code": wrong})
        assert (answer.status_code, "That is not the code" in answer.content.decode()) == (400, True)
        TOTPDevice.objects.update(throttling_failure_count=9)
        right = f"{TOTP(TOTPDevice.objects.get().bin_key).token():06d}"
        answer = client.post("/accounts/two-factor/code/", {"code": right})
        assert answer.status_code == 429
        assert "Wait 25" in answer.content.decode()  # of 256 s
        assert client.get("/accounts/").status_code == 302

    def test_guesses_that_arrive_together_are_counted_one_by_one(self, alice: User) -> None:
        set_up(alice)
        TOTPDevice.objects.update(last_t=-1)
        wrong = wrong_code(alice)

        def guess(number: int) -> type[Exception]:
            try:
                two_factor.check(user=alice, code=wrong)
            except (two_factor.WrongCode, two_factor.TooManyCodes) as error:
                return type(error)
            raise AssertionError("a wrong code was taken")

        assert in_threads(6, guess).count(two_factor.WrongCode) == 1

    def test_somebody_elses_code_is_none(self, alice: User, outsider: User) -> None:
        set_up(alice)
        set_up(outsider)
        answer = log_in(alice).post("/accounts/two-factor/code/", {"code": code_of(outsider)})
        assert answer.status_code == 400

    def test_another_persons_log_in_in_the_same_browser_needs_its_own(self, alice: User, root: User) -> None:
        set_up(alice)
        set_up(root)
        client = log_in(alice)
        client.post("/accounts/two-factor/code/", {"code": code_of(alice)})
        client.force_login(root, backend="accounts.backends.AccountBackend")
        assert client.get("/admin/").status_code == 302

    def test_a_password_reset_goes_not_round_it(self, alice: User) -> None:
        set_up(alice)
        browser_of().post("/accounts/password/forgotten/", {"email": alice.email})
        for thread in threading.enumerate():
            if thread.name == THREAD:
                thread.join(timeout=60)
        link = re.search(r"http://testserver(/accounts/password/\S+)", str(mail.outbox[-1].body))
        assert link is not None
        client = browser_of()
        form = client.get(link[1], follow=True).redirect_chain[-1][0]
        new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
        assert client.post(form, new).status_code == 302
        assert client.get("/accounts/")["Location"].startswith("/accounts/login/")
        client.post("/accounts/login/", {"username": "alice", "password": "another horse battery"})
        assert client.get("/accounts/")["Location"].startswith("/accounts/two-factor/code/")


class TestStaffMustHaveOne:
    @pytest.fixture(autouse=True)
    def _demanded(self, settings: Settings) -> None:
        settings.STAFF_NEEDS_TWO_FACTOR = True

    def test_staff_without_one_reach_their_account_alone(self, root: User) -> None:
        client = browser_of(root)
        for path in ("/admin/", "/admin/accounts/user/", "/labeling/", "/accounts/types/", "/playground"):
            assert client.get(path)["Location"] == f"/accounts/two-factor/?next={path}"
        assert client.post("/admin/accounts/user/add/")["Location"] == "/accounts/two-factor/"
        assert "Staff need one here" in client.get("/accounts/two-factor/").content.decode()
        client.post("/accounts/two-factor/begin")
        given = {"code": code_of(root, confirmed=False), "password": PASSWORD}
        assert client.post("/accounts/two-factor/confirm", given).status_code == 200
        assert client.get("/admin/").status_code == 200

    def test_others_are_left_alone(self, alice: User) -> None:
        assert browser_of(alice).get("/playground").status_code == 200

    def test_a_token_without_a_code_gives_no_right_of_staff(self, root: User, alice: User) -> None:
        api = APIClient()
        answer = api.post("/get_token", {"username": "root", "password": PASSWORD}, format="multipart")
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access_token']}")
        assert api.post("/get_account_info").status_code == 200
        refused = api.post("/add_credit_balance", {"user_id": alice.pk, "credit_amount": 5}, format="json")
        assert refused.status_code == 403
        assert "second factor" in refused.json()["detail"]
        assert api.post(f"/delete_user?delete_user_id={alice.pk}").status_code == 403
        assert User.objects.filter(pk=alice.pk).exists()


class TestTokens:
    def ask(self, api: APIClient, path: str, **given: str) -> Any:
        asked = {"username": "root", "password": PASSWORD} | given
        return api.post(path, asked, format="multipart" if path == "/get_token" else "json")

    @pytest.mark.parametrize("path", ["/get_token", "/api/v1/token"])
    def test_no_token_without_the_code(self, root: User, alice: User, path: str) -> None:
        set_up(root)
        api = APIClient()
        needed = self.ask(api, path)
        assert needed.status_code == 401
        assert "second factor" in needed.json()["detail"]
        assert self.ask(api, path, otp=wrong_code(root)).status_code == 401
        wrong_password = self.ask(api, path, password="guess", otp=code_of(root))
        assert wrong_password.json()["detail"].startswith("Incorrect username or password")
        answer = self.ask(api, path, otp=code_of(root))
        assert answer.status_code == 200
        token = answer.json().get("access_token") or answer.json()["access"]
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        granted = api.post("/add_credit_balance", {"user_id": alice.pk, "credit_amount": 5}, format="json")
        assert granted.status_code == 200

    def test_a_refreshed_token_knows_of_the_code_and_an_older_one_does_not(
        self, root: User, alice: User
    ) -> None:
        api = APIClient()
        pairs = [self.ask(api, "/api/v1/token").json()]
        set_up(root)
        pairs.append(self.ask(api, "/api/v1/token", otp=code_of(root)).json())
        statuses = []
        for pair in pairs:
            api.credentials()
            fresh = api.post("/api/v1/token/refresh", {"refresh": pair["refresh"]}, format="json").json()
            api.credentials(HTTP_AUTHORIZATION=f"Bearer {fresh['access']}")
            answer = api.post("/add_credit_balance", {"user_id": alice.pk, "credit_amount": 5}, format="json")
            statuses.append(answer.status_code)
        assert statuses == [403, 200]


def test_who_lost_the_phone_is_let_in_by_an_operator(alice: User, outsider: User) -> None:
    set_up(alice)
    call_command("reset_two_factor", "ALICE", verbosity=0)
    assert log_in(alice).get("/accounts/").status_code == 200
    assert not StaticDevice.objects.exists()
    for name in ("alice", "nobody"):
        with pytest.raises(CommandError, match=name):
            call_command("reset_two_factor", name)


def test_no_secret_of_it_is_shown_or_handed_out(root: User, make_user: MakeUser) -> None:
    set_up(root)
    client = log_in(root)
    client.post("/accounts/two-factor/code/", {"code": code_of(root)})
    key = TOTPDevice.objects.get().key
    assert client.get("/admin/otp_totp/totpdevice/").status_code == 404
    assert client.get("/admin/otp_static/staticdevice/").status_code == 404
    page = client.get(f"/admin/accounts/user/{root.pk}/change/").content.decode()
    assert "Second factor" in page
    assert key not in page
    archive = zipfile.ZipFile(io.BytesIO(client.post("/accounts/data/export").getvalue()))
    exported = b"".join(archive.read(name) for name in archive.namelist())
    assert b"throttling_failure_count" in exported
    assert key.encode() not in exported
