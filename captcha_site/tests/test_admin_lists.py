"""The admin's lists: each as CSV, by day, and the log of who did what."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import credits
from accounts.models import LedgerEntry, User
from captcha_site import admin_export
from solving.models import Callback, Solve

pytestmark = pytest.mark.django_db

LEDGER, USERS, LOG = "/admin/accounts/ledgerentry/", "/admin/accounts/user/", "/admin/admin/logentry/"


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", "root@example.org", "x")


@pytest.fixture
def office(root: User) -> Client:
    return browser_of(root)


def browser_of(user: User) -> Client:
    client = Client(headers={"Accept": "text/html"})
    client.force_login(user, backend="accounts.backends.AccountBackend")
    return client


def export(client: Client, address: str, chosen: list[Any], *, everything: bool = False) -> Any:
    form = {
        "action": "export_as_csv",
        "_selected_action": chosen,
        "select_across": "1" if everything else "0",
    }
    return client.post(address, form)


def table(answer: Any) -> list[dict[str, str]]:
    assert answer["Content-Type"].startswith("text/csv"), answer.content
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def entries(user: User, *moments: datetime) -> list[LedgerEntry]:
    """Grants of 1, 2, 3 … credits, each noted at a moment of its own."""
    made = []
    for number, moment in enumerate(moments, start=1):
        with pytest.MonkeyPatch.context() as clock:
            clock.setattr("django.utils.timezone.now", lambda moment=moment: moment)
            made.append(credits.grant(user=user, amount=number, reason="a grant", actor="tests"))
    return made


class TestExport:
    def test_the_chosen_rows_come_with_the_columns_of_the_list(self, office: Client, root: User) -> None:
        made = entries(root, *[datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)])
        rows = table(export(office, LEDGER, [made[0].pk, made[2].pk]))
        assert [(row["owner"], row["amount"]) for row in rows] == [("root", "3"), ("root", "1")]
        assert rows[0]["created"] == "2026-03-03T00:00:00+00:00"

    def test_all_that_the_filters_leave(self, office: Client, root: User) -> None:
        made = entries(root, *[datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 2)])
        rows = table(export(office, f"{LEDGER}?day=2026-02", [made[1].pk], everything=True))
        assert [row["amount"] for row in rows] == ["3", "2"]

    def test_no_list_gives_what_it_does_not_show(self, office: Client, root: User) -> None:
        answer = export(office, USERS, [root.pk])
        text = answer.getvalue().decode()
        assert "root@example.org" in text
        assert root.password not in text

    def test_a_formula_is_made_harmless(self, office: Client, root: User) -> None:
        entry = credits.grant(user=root, amount=1, reason="=HYPERLINK(1)", actor="tests")
        assert table(export(office, LEDGER, [entry.pk]))[0]["reason"] == "'=HYPERLINK(1)"

    def test_more_than_a_request_can_carry_is_refused_with_what_to_do(
        self, office: Client, root: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = entries(root, *[datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)])
        monkeypatch.setattr(admin_export, "MOST", 2)
        refused = export(office, LEDGER, [made[0].pk], everything=True)
        assert refused.status_code == 302
        assert "narrow them" in office.get(LEDGER).content.decode()

    def test_who_may_not_see_a_list_gets_no_file_of_it(self, root: User) -> None:
        clerk = User.objects.create_user("clerk", "clerk@example.org", is_staff=True)
        client = browser_of(clerk)
        assert export(client, USERS, [root.pk]).status_code == 403
        clerk.user_permissions.add(Permission.objects.get(codename="view_user"))
        assert table(export(client, USERS, [root.pk]))[0]["username"] == "root"

    def test_every_list_offers_it(self, office: Client) -> None:
        for model, of in admin.site._registry.items():
            if of.has_view_permission(request := _request_of(office)):
                assert "export_as_csv" in of.get_actions(request), model


def _request_of(client: Client) -> Any:
    return client.get("/admin/").wsgi_request


class TestDays:
    @pytest.fixture
    def some(self, root: User) -> None:
        moments = [(2024, 12, 31, 23, 59), (2026, 2, 1, 0, 0), (2026, 2, 28, 12, 0), (2026, 3, 1, 0, 0)]
        entries(root, *[datetime(*moment, tzinfo=UTC) for moment in moments])

    @pytest.mark.parametrize(
        ("day", "amounts"),
        [
            ("2026", [4, 3, 2]),
            ("2025", []),
            ("2024", [1]),
            ("2026-02", [3, 2]),
            ("2024-12", [1]),
            ("2026-02-28", [3]),
            ("2026-03-01", [4]),
            ("1999", []),
        ],
    )
    def test_a_day_narrows_the_list(self, office: Client, some: None, day: str, amounts: list[int]) -> None:
        shown = office.get(f"{LEDGER}?day={day}").context["cl"].result_list
        assert [entry.amount for entry in shown] == amounts

    @pytest.mark.parametrize("day", ["yesterday", "2026-13", "2026-02-30", "99999", "0000"])
    def test_what_is_no_day_is_refused(self, office: Client, some: None, day: str) -> None:
        assert office.get(f"{LEDGER}?day={day}").status_code == 302

    def test_it_drills_down_within_what_there_is(self, office: Client, some: None) -> None:
        def offered(query: str) -> list[str]:
            filters = office.get(LEDGER + query).context["cl"].filter_specs
            return [value for value, _ in filters[0].lookup_choices]

        assert offered("") == ["2026", "2025", "2024"]
        assert offered("?day=2024") == ["2026", "2025", "2024", "2024-12"]
        below = offered("?day=2026-02")
        assert below[:6] == ["2026", "2025", "2024", "2026-03", "2026-02", "2026-01"]
        assert (below[6], below[-1], len(below)) == ("2026-02-28", "2026-02-01", 6 + 28)

    def test_the_whole_table_is_never_read(self, office: Client, some: None) -> None:
        with CaptureQueriesContext(connection) as queries:
            office.get(f"{LEDGER}?day=2026-02")
        ledger = [query["sql"] for query in queries if "accounts_ledgerentry" in query["sql"]]
        assert ledger
        assert not [sql for sql in ledger if "GROUP BY" in sql or '"created" >=' in sql]

    def test_other_large_lists_have_it(self, office: Client, root: User) -> None:
        Solve.objects.create(
            user=root, account=root.credit_account, outcome="solved", charged=0, elapsed_ms=1.0,
            created=datetime(2026, 2, 3, tzinfo=UTC),
        )  # fmt: skip
        moment = datetime(2026, 2, 3, tzinfo=UTC)
        Callback.objects.create(user=root, url="https://example.org/", created=moment, due=moment)
        for address in ("/admin/solving/solve/", "/admin/solving/callback/"):
            assert len(office.get(f"{address}?day=2026-02-03").context["cl"].result_list) == 1
            assert len(office.get(f"{address}?day=2026-02-04").context["cl"].result_list) == 0


class TestLog:
    def test_it_tells_who_did_what_and_nobody_changes_it(self, office: Client, root: User) -> None:
        grace = User.objects.create_user("grace", "grace@example.org")
        form = {
            "action": "change_credits", "_selected_action": [grace.pk], "step": "apply", "amount": "7",
            "reason": "thanks", "once": "a" * 32,
        }  # fmt: skip
        office.post(USERS, form)
        export(office, f"{USERS}?is_active__exact=1", [grace.pk])
        page = office.get(LOG).content.decode()
        for told in ("root", "+7 credits: thanks", "Exported as CSV: is_active__exact=1"):
            assert told in page
        entry = LogEntry.objects.order_by("pk").first()
        assert entry is not None
        for way in ("change", "delete"):
            assert office.post(f"{LOG}{entry.pk}/{way}/", {"post": "yes"}).status_code == 403
        assert office.post(f"{LOG}add/").status_code == 403
        assert LogEntry.objects.count() == 2

    @pytest.mark.parametrize(
        ("query", "shown"), [("?q=thanks", 1), ("?q=root", 1), ("?q=roo", 0), ("?action_flag__exact=3", 0)]
    )
    def test_it_is_searched_and_filtered(self, office: Client, root: User, query: str, shown: int) -> None:
        LogEntry.objects.log_actions(root.pk, User.objects.all(), 2, "thanks", single_object=True)
        LogEntry.objects.update(object_repr="somebody")
        changelist = office.get(LOG + query).context["cl"]
        assert changelist.result_count == shown
        assert len(table(export(office, LOG, [entry.pk for entry in LogEntry.objects.all()]))) == 1

    def test_staff_need_the_right_to_see_it(self) -> None:
        clerk = User.objects.create_user("clerk", "clerk@example.org", is_staff=True)
        assert browser_of(clerk).get(LOG).status_code == 403
