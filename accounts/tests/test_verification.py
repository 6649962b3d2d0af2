"""Confirming an e-mail address: the link of a mail, what it pays, and that nothing is paid twice."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail, signing
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import credits, services, verification
from accounts.errors import DuplicateEmail
from accounts.mail import THREAD
from accounts.models import EmailVerification, LedgerEntry, User
from accounts.throttling import AddressThrottle

from .conftest import PASSWORD, MakeUser
from .test_ledger_concurrency import in_threads
from .test_pages import NEW, browser_of

pytestmark = pytest.mark.django_db(transaction=True)

HOME = "http://testserver"


@pytest.fixture(autouse=True)
def _verified_by_mail(settings: Settings) -> Iterator[None]:
    settings.VERIFY_EMAIL = True
    settings.EMAIL_URL = "smtp://mail.example.org"
    yield
    mails()


def mails() -> list[Any]:
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(timeout=60)
    return list(mail.outbox)


def link_of(message: Any) -> str:
    found = re.search(r"http://testserver(/accounts/email/confirm/\S+)", str(message.body))
    assert found is not None
    return found[1]


def sign_up(**given: str) -> Client:
    client = browser_of()
    assert client.post("/accounts/sign-up/", NEW | given).status_code == 302
    mails()  # so that they stand in the order in which they were asked for
    return client


def balance(username: str = "grace") -> int:
    return credits.balance(User.objects.get(username=username))


def test_the_gift_comes_with_the_link_of_the_mail_and_once() -> None:
    client = sign_up()
    assert balance() == 0
    page = client.get("/accounts/email/").content.decode()
    assert "Look into your mail" in page
    assert "grace@example.org" in page
    assert "Confirm your e-mail address" in client.get("/accounts/").content.decode()
    [message] = mails()
    assert message.to == ["grace@example.org"]
    link = link_of(message)
    stranger = browser_of()  # on another device, where nobody is logged in
    assert "grace@example.org" in stranger.get(link).content.decode()
    assert balance() == 0  # a program that opens the mail's links pays nothing
    assert stranger.post(link).status_code == 302
    assert balance() == 10
    assert LedgerEntry.objects.get().kind == "gift"
    for method in (stranger.get, stranger.post):
        again = method(link)
        assert again.status_code == 410
        assert "This link has ended" in again.content.decode()
    assert balance() == 10
    assert "Confirm your e-mail address" not in client.get("/accounts/").content.decode()


def test_the_api_signs_up_the_same_way() -> None:
    answer = APIClient().post("/add_user", {**NEW, "password": PASSWORD}, format="json")
    assert answer.status_code == 200
    assert answer.json()["credit_balance"] == 0
    assert set(answer.json()) == {"id", "username", "email", "credit_balance"}
    browser_of().post(link_of(mails()[0]))
    assert balance() == 10


def test_of_parallel_clicks_one_pays() -> None:
    sign_up()
    link = link_of(mails()[0])
    statuses = in_threads(8, lambda number: browser_of().post(link).status_code)
    assert sorted(statuses) == [302] + [410] * 7
    assert balance() == 10
    assert LedgerEntry.objects.count() == 1


def test_the_ledger_itself_refuses_a_second_gift(make_user: MakeUser) -> None:
    alice = make_user("alice")
    credits.open_account(user=alice, gift=10)
    with pytest.raises(credits.AlreadyGranted):
        credits.open_account(user=alice, gift=10)
    assert credits.balance(alice) == 10


@pytest.mark.parametrize(
    "link",
    ["nonsense", "1:abc:def", signing.dumps("x"), signing.dumps(1)],
    ids=["no link", "no signature", "a text", "a number"],  # what is signed differs from process to process
)
def test_a_forged_link_is_worth_nothing(link: str) -> None:
    sign_up()
    assert browser_of().post(f"/accounts/email/confirm/{link}").status_code == 410
    assert balance() == 0


def test_a_link_lasts_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    sign_up()
    link = link_of(mails()[0])
    monkeypatch.setattr(verification, "LINK_LASTS", timedelta(seconds=-1))
    assert browser_of().post(link).status_code == 410
    assert balance() == 0


def test_it_is_sent_again_but_not_at_once() -> None:
    client = sign_up()
    page = client.post("/accounts/email/send", follow=True).content.decode()
    assert "sent a moment ago" in page
    assert len(mails()) == 1
    EmailVerification.objects.update(sent=timezone.now() - timedelta(minutes=5))
    mails()
    assert "on its way" in client.post("/accounts/email/send", follow=True).content.decode()
    first, second = mails()
    assert browser_of().post(link_of(second)).status_code == 302
    assert browser_of().post(link_of(first)).status_code == 410
    assert balance() == 10


def test_of_parallel_wishes_for_a_mail_one_is_heard(make_user: MakeUser) -> None:
    alice = make_user("alice")
    verification.begin(user=alice, email=alice.email)
    heard = in_threads(6, lambda number: verification.send(user=alice, base_url=HOME))
    assert sorted(heard) == [False] * 5 + [True]
    assert len(mails()) == 1


@pytest.mark.parametrize("address", ["grace@example.org", "Grace+again@EXAMPLE.org"])
def test_a_mailbox_brings_one_gift_whatever_accounts_it_has(address: str) -> None:
    sign_up()
    browser_of().post(link_of(mails()[0]))
    services.delete_user(user=User.objects.get(), actor=None)
    sign_up(username="hopper", email=address)
    client = browser_of()
    client.post(link_of(mails()[-1]))
    assert verification.is_verified(User.objects.get())
    assert balance("hopper") == 0


class TestAnotherAddress:
    def change(self, client: Client, email: str, password: str = NEW["password"]) -> Any:
        answer = client.post("/accounts/email/", {"email": email, "password": password})
        mails()
        return answer

    def test_it_is_verified_anew_without_another_gift(self) -> None:
        client = sign_up()
        browser_of().post(link_of(mails()[0]))
        assert self.change(client, "hopper@example.org").status_code == 302
        assert User.objects.get().email == "grace@example.org"  # until the link is opened
        assert mails()[1].to == ["hopper@example.org"]
        assert client.post(link_of(mails()[1])).status_code == 302
        user = User.objects.get()
        assert (user.email, verification.is_verified(user), balance()) == ("hopper@example.org", True, 10)
        told = mails()[2]
        assert (told.to, "hopper@example.org" in told.body) == (["grace@example.org"], True)

    def test_an_unverified_one_may_be_corrected_and_the_old_link_ends(self) -> None:
        client = sign_up(email="gracee@example.org")
        self.change(client, "grace@example.org")
        wrong, right = mails()
        assert browser_of().post(link_of(wrong)).status_code == 410
        assert browser_of().post(link_of(right)).status_code == 302
        assert (User.objects.get().email, balance()) == ("grace@example.org", 10)

    def test_whether_an_address_is_known_is_told_to_itself_alone(self, alice: User) -> None:
        client = sign_up()
        pages = []
        for address in ("nobody@example.org", "ALICE@example.org"):
            assert self.change(client, address).status_code == 302
            page = client.get("/accounts/email/").content.decode()
            page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)
            # Django keeps the domain alone in lower case
            pages.append(page.replace(address, "ADDRESS"))
        assert pages[0] == pages[1]
        told = mails()[-1]
        assert told.to == ["ALICE@example.org"]
        assert "It belongs to an account already" in told.body
        assert "confirm/" not in told.body
        assert User.objects.get(pk=alice.pk).email == "alice@example.org"

    def test_one_that_was_taken_meanwhile_stays_with_who_has_it(self, make_user: MakeUser) -> None:
        client = sign_up()
        self.change(client, "hopper@example.org")
        make_user("hopper")
        answer = client.post(link_of(mails()[1]))
        assert answer.status_code == 409
        assert "belongs to another account" in answer.content.decode()
        assert User.objects.get(username="grace").email == "grace@example.org"

    def test_it_needs_the_password_and_an_address(self) -> None:
        client = sign_up()
        assert self.change(client, "hopper@example.org", "guess").status_code == 400
        assert self.change(client, "nowhere").status_code == 400
        assert self.change(client, f"{'a' * 250}@example.org").status_code == 400
        assert len(mails()) == 1

    def test_it_is_limited_by_network(self, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(AddressThrottle, "THROTTLE_RATES", {"sign_up": "1/hour"})
        client = browser_of(alice)
        self.change(client, "a@example.org", PASSWORD)
        assert self.change(client, "b@example.org", PASSWORD).status_code == 429
        assert len(mails()) == 1

    def test_without_verification_it_is_taken_at_once(self, alice: User, settings: Settings) -> None:
        settings.VERIFY_EMAIL = False
        client = browser_of(alice)
        assert self.change(client, "liddell@example.org", PASSWORD).status_code == 302
        alice.refresh_from_db()
        assert alice.email == "liddell@example.org"
        assert mails()[0].to == ["alice@example.org"]
        services.register_user(username="hopper", email="hopper@example.org", password=NEW["password"])
        answer = self.change(client, "HOPPER@example.org", PASSWORD)
        assert (answer.status_code, "belongs to another account" in answer.content.decode()) == (400, True)


def test_a_password_set_by_mail_confirms_its_address_too() -> None:
    sign_up()
    user = User.objects.get()
    verification.confirm_by_reset(user=user)
    assert verification.is_verified(user)
    assert balance() == 10


def test_an_older_account_confirms_without_another_gift(alice: User, settings: Settings) -> None:
    settings.VERIFY_EMAIL = False
    user = services.register_user(username="old", email="old@example.org", password=PASSWORD)
    settings.VERIFY_EMAIL = True
    client = browser_of(user)
    assert "Send the link" in client.get("/accounts/email/").content.decode()
    client.post("/accounts/email/send")
    client.post(link_of(mails()[0]))
    assert verification.is_verified(user)
    assert balance("old") == 10


def test_without_a_mail_server_the_page_says_whom_to_ask(settings: Settings) -> None:
    settings.EMAIL_URL = ""
    client = sign_up()
    assert "Ask whoever runs it" in client.get("/accounts/email/").content.decode()


def test_two_accounts_that_wait_for_one_address_end_as_one_owner(make_user: MakeUser) -> None:
    waiting = [verification.begin(user=make_user(name), email="both@example.org") for name in ("a", "b")]
    links = [signing.dumps(one.pk, salt="accounts.verification") for one in waiting]
    verification.confirm(link=links[0])
    with pytest.raises(DuplicateEmail):
        verification.confirm(link=links[1])
    assert User.objects.get(username="b").email == "b@example.org"
