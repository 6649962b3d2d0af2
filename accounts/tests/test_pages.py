"""The account's pages: sign up, passwords, keys, the end of an account. The outsider gets at nothing."""

import io
import json
import re
import threading
import zipfile

import pytest
from django.core import mail
from django.test import Client

from accounts import api_keys, terms
from accounts.mail import THREAD
from accounts.models import Acceptance, ApiKey, CreditAccount, User
from accounts.tests.conftest import PASSWORD, MakeUser
from accounts.throttling import AddressThrottle

BROWSER = {"Accept": "text/html"}
NEW = {"username": "grace", "email": "grace@example.org", "password": "a compiler of her own", "accept": "on"}


def browser_of(user: User | None = None) -> Client:
    client = Client(headers=BROWSER)
    if user is not None:
        client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


def limit(monkeypatch: pytest.MonkeyPatch, **rates: str) -> None:
    monkeypatch.setattr(AddressThrottle, "THROTTLE_RATES", rates)


@pytest.mark.django_db
class TestSignUp:
    def test_the_accepted_policy_is_kept_with_version_and_time(self) -> None:
        client = browser_of()
        assert client.post("/accounts/sign-up/", NEW).status_code == 302
        user = User.objects.get(username="grace")
        kept = Acceptance.objects.get(user=user)
        assert (kept.version, kept.accepted >= user.date_joined) == (terms.VERSION, True)
        assert user.credit_account.balance == 10
        assert client.get("/accounts/").context["user"] == user  # logged in already

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"accept": ""}, "Read the policy and accept it"),
            ({"username": "ALICE"}, "The user name ALICE is taken."),
            ({"username": "zoë"}, "valid username"),
            ({"email": "Alice@example.org"}, "belongs to another account"),
            ({"email": "nowhere"}, "valid email"),
            ({"password": "12345678"}, "too common"),
            ({"password": "grace"}, "too similar"),
        ],
    )
    def test_what_is_wrong_is_said_and_what_was_typed_stays(
        self, alice: User, wrong: dict[str, str], said: str
    ) -> None:
        answer = browser_of().post("/accounts/sign-up/", NEW | wrong)
        page = answer.content.decode()
        assert answer.status_code == 400
        assert said in page
        assert 'aria-invalid="true"' in page
        assert f'value="{(NEW | wrong)["username"]}"' in page
        assert NEW["password"] not in page
        assert User.objects.count() == 1

    def test_too_many_are_a_page_that_says_when_to_come_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            AddressThrottle, "THROTTLE_RATES", {"sign_up": "1/hour", "sign_up_form": "9/hour"}
        )
        browser_of().post("/accounts/sign-up/", NEW)
        answer = browser_of().post("/accounts/sign-up/", NEW | {"username": "b", "email": "b@example.org"})
        page = answer.content.decode()
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 3000
        assert "Try again in about 60 minutes" in page
        assert "charged" not in page
        assert page.count("Too many requests") == 2  # the window's title and the page's
        assert answer["X-Request-ID"] in page
        assert User.objects.count() == 1

    def test_forms_with_a_mistake_close_the_page_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            AddressThrottle, "THROTTLE_RATES", {"sign_up": "1/hour", "sign_up_form": "4/hour"}
        )
        client = browser_of()
        for _ in range(3):
            assert client.post("/accounts/sign-up/", NEW | {"password": "short"}).status_code == 400
        assert client.post("/accounts/sign-up/", NEW).status_code == 302
        monkeypatch.setattr(
            AddressThrottle, "THROTTLE_RATES", {"sign_up": "9/hour", "sign_up_form": "4/hour"}
        )
        answer = browser_of().post("/accounts/sign-up/", NEW)
        assert answer.status_code == 429  # each tells whether a name exists


@pytest.mark.django_db
def test_a_new_password_needs_the_old_one(alice: User) -> None:
    client = browser_of(alice)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert client.post("/accounts/password/", new | {"old_password": "guess"}).status_code == 200
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)
    assert client.post("/accounts/password/", new | {"old_password": PASSWORD}).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("another horse battery")
    assert client.get("/accounts/").status_code == 200  # this session goes on


def ask_for_mail(address: str) -> str:
    """The page that is shown; the mail is sent by the time it returns."""
    answer = browser_of().post("/accounts/password/forgotten/", {"email": address}, follow=True)
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join(timeout=60)
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())


@pytest.mark.django_db(transaction=True)
class TestForgottenPassword:
    def test_the_link_of_the_mail_sets_a_password_once(self, alice: User) -> None:
        ask_for_mail("ALICE@example.org")
        assert [one.to for one in mail.outbox] == [["alice@example.org"]]
        link = re.search(r"http://testserver(/\S+)", str(mail.outbox[0].body))
        assert link is not None
        client = browser_of()
        form = client.get(link[1], follow=True)
        new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
        assert client.post(form.redirect_chain[-1][0], new).status_code == 302
        alice.refresh_from_db()
        assert alice.check_password("another horse battery")
        assert "This link has ended" in browser_of().get(link[1], follow=True).content.decode()

    def test_an_unknown_address_looks_the_same(self, alice: User) -> None:
        assert ask_for_mail("nobody@example.org") == ask_for_mail("alice@example.org")
        assert len(mail.outbox) == 1

    def test_nobody_is_flooded_and_the_suspended_get_none(self, alice: User, make_user: MakeUser) -> None:
        ask_for_mail("alice@example.org")
        ask_for_mail("alice@example.org")
        assert len(mail.outbox) == 1
        User.objects.filter(pk=make_user("mallory").pk).update(is_active=False)
        ask_for_mail("mallory@example.org")
        assert len(mail.outbox) == 1


@pytest.mark.django_db
class TestKeys:
    def test_a_key_is_made_with_its_limits_and_shown_once(self, alice: User) -> None:
        client = browser_of(alice)
        asked = {"name": "ci", "scopes": ["solve"], "allowed_networks": "192.0.2.0/24", "daily_limit": "50"}
        answer = client.post("/accounts/keys/", asked)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/keys/")
        assert not client.head("/accounts/keys/").content  # and takes nothing away
        page = client.get("/accounts/keys/").content.decode()
        key = ApiKey.objects.get()
        assert (key.scopes, key.allowed_networks, key.daily_limit) == (["solve"], "192.0.2.0/24", 50)
        text = re.search(r'id="new-key">([0-9a-f]{32})<', page)
        assert text is not None
        assert api_keys.identify(text[1], address="192.0.2.9") == key
        assert text[1] not in client.get("/accounts/keys/").content.decode()
        assert text[1] not in str(dict(client.session.items()))

    @pytest.mark.parametrize(
        "wrong",
        [{"name": ""}, {"scopes": []}, {"allowed_networks": "the office"}, {"daily_limit": "-1"}],
    )
    def test_what_is_wrong_is_said_at_its_field(self, alice: User, wrong: dict[str, object]) -> None:
        answer = browser_of(alice).post("/accounts/keys/", {"name": "ci", "scopes": ["solve"]} | wrong)
        assert answer.status_code == 400
        assert list(answer.context["form"].errors) == list(wrong)
        assert not ApiKey.objects.exists()

    def test_only_the_owner_revokes(self, alice: User, outsider: User) -> None:
        key, _ = api_keys.create(user=alice, name="ci")
        browser_of(outsider).post(f"/accounts/keys/{key.pk}/revoke")
        assert ApiKey.objects.exists()
        assert key.prefix not in browser_of(outsider).get("/accounts/keys/").content.decode()
        browser_of(alice).post(f"/accounts/keys/{key.pk}/revoke")
        assert not ApiKey.objects.exists()


@pytest.mark.django_db
class TestTheEnd:
    def test_what_goes_is_counted_as_people_do(self, alice: User) -> None:
        page = browser_of(alice).get("/accounts/delete/").content.decode()
        assert "Deleted: 1 session." in page

    def test_the_account_goes_after_its_password(self, alice: User, outsider: User) -> None:
        client = browser_of(alice)
        wrong = client.post("/accounts/delete/", {"password": "guess"})
        assert "This is not your password." in wrong.content.decode()
        assert User.objects.filter(pk=alice.pk).exists()
        assert client.post("/accounts/delete/", {"password": PASSWORD}).status_code == 302
        assert list(User.objects.all()) == [outsider]
        assert CreditAccount.objects.get(user=None).balance == 0
        assert client.get("/accounts/").status_code == 302

    def test_the_last_admin_stays(self, root: User) -> None:
        answer = browser_of(root).post("/accounts/delete/", {"password": PASSWORD})
        assert "last active administrator" in answer.content.decode()
        assert User.objects.filter(pk=root.pk).exists()

    def test_all_data_come_along_but_no_secrets_and_nobody_elses(self, alice: User, outsider: User) -> None:
        _, text = api_keys.create(user=alice, name="ci")
        api_keys.create(user=outsider, name="not hers")
        answer = browser_of(alice).post("/accounts/data/export")
        archive = zipfile.ZipFile(io.BytesIO(answer.getvalue()))
        contents = {name: archive.read(name).decode() for name in archive.namelist()}
        everything = "".join(contents.values())
        assert json.loads(contents["account.jsonl"])["email"] == "alice@example.org"
        assert json.loads(contents["ledger_entries.jsonl"])["amount"] == 10
        assert json.loads(contents["api_keys_as_user.jsonl"])["name"] == "ci"
        assert api_keys.digest_of(text) not in everything
        assert alice.password not in everything
        assert "not hers" not in everything
        assert "outsider" not in everything


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    ["", "password/", "keys/", "delete/", "data/", "history/", "history/csv"],
)
def test_strangers_are_sent_to_the_log_in(path: str) -> None:
    answer = browser_of().get(f"/accounts/{path}")
    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login/?next=/accounts/{path}"
