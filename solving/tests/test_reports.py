"""Reports on answers: once, in time, paid back when people say so, and each step explained."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts import credits, services
from accounts.models import LedgerEntry, User
from labeling.models import Report as LabellersReport
from labeling.models import Sample
from ml.models import Confirmation
from solving import kept_images, reports
from solving.models import Solve, SolveReport
from solving.tests.conftest import Caller, assert_problem
from solving.tests.pictures import TYPE_A, TYPE_B, UNKNOWN, picture
from solving.tests.test_concurrency import at_once


@pytest.fixture(autouse=True)
def own_folders(settings: Any, tmp_path: Any) -> None:
    for name in ("solved", "samples"):
        options = settings.STORAGES[name].get("OPTIONS", {}) | {"location": tmp_path / name}
        settings.STORAGES = settings.STORAGES | {name: settings.STORAGES[name] | {"OPTIONS": options}}


def solved(caller: Caller, shade: int = TYPE_A) -> int:
    return int(caller.solve(picture(shade, "JPEG")).json()["id"])


def report(caller: Caller, solve_id: int, verdict: str = "incorrect", **further: str | None) -> Any:
    return caller.client.post(
        f"/api/v1/solves/{solve_id}/report", {"verdict": verdict, **further}, content_type="application/json"
    )


def labellers_say(text: str | None) -> None:
    """What people agree on for every image that waits for them."""
    status = Sample.Status.AGREED if text is not None else Sample.Status.UNREADABLE
    Sample.objects.update(status=status, text=text or "")


def refunds(user: User) -> list[tuple[int, str]]:
    entries = LedgerEntry.objects.filter(account=user.credit_account, kind="refund")
    return list(entries.values_list("amount", "reference"))


def test_a_wrong_answer_is_paid_back_once_people_confirm_it(caller: Caller, user: User) -> None:
    solve_id = solved(caller)
    filed = report(caller, solve_id, correction="2KXQF")
    assert filed.status_code == 200, filed.content
    assert filed.json() | {"created": ""} == {
        "solve": solve_id,
        "verdict": "incorrect",
        "correction": "2KXQF",
        "state": "waiting",
        "decided_text": "",
        "refunded": 0,
        "created": "",
        "decided": None,
        "notice": "",
    }
    queued = LabellersReport.objects.get()
    assert (queued.read, queued.correction) == ("2KXQE", "2KXQF")
    assert reports.settle_reports() == {}
    assert (refunds(user), credits.balance(user)) == ([], 9)

    labellers_say("2KXQF")
    assert reports.settle_reports() == {"confirmed": 1}
    assert reports.settle_reports() == {}
    assert (refunds(user), credits.balance(user)) == ([(1, f"report {solve_id}")], 10)
    told = caller.get(f"/api/v1/solves/{solve_id}/report").json()
    assert (told["state"], told["decided_text"], told["refunded"]) == ("confirmed", "2KXQF", 1)
    confirmation = Confirmation.objects.get(reference=str(solve_id))
    assert (confirmation.text, confirmation.right) == ("2KXQF", True)


@pytest.mark.parametrize(
    ("shade", "text", "state", "refunded"),
    [
        (TYPE_A, "2KXQE", "rejected", 0),
        (TYPE_A, "2kxqe", "rejected", 0),
        (TYPE_A, "2KXQ", "confirmed", 1),
        (TYPE_A, None, "unreadable", 1),
        (TYPE_B, "33+2=?", "rejected", 0),
        (TYPE_B, "33+2=", "rejected", 0),
        (TYPE_B, "33+3=?", "confirmed", 1),
    ],
)
def test_what_people_read_decides(
    caller: Caller, user: User, shade: int, text: str | None, state: str, refunded: int
) -> None:
    report(caller, solved(caller, shade))
    labellers_say(text)
    assert reports.settle_reports() == {state: 1}
    assert credits.balance(user) == 9 + refunded


def test_a_right_answer_is_noted(caller: Caller, user: User) -> None:
    solve_id = solved(caller)
    assert report(caller, solve_id, "correct").json()["state"] == "noted"
    assert Confirmation.objects.get(reference=str(solve_id)).text == "2KXQE"
    assert not LabellersReport.objects.exists()
    assert (refunds(user), credits.balance(user)) == ([], 9)


def test_paid_back_at_once_where_a_setting_says_so(caller: Caller, user: User, settings: Any) -> None:
    settings.REFUND_REPORTS_AT_ONCE = True
    assert report(caller, solved(caller)).json()["refunded"] == 1
    labellers_say("other")
    reports.settle_reports()
    assert (len(refunds(user)), credits.balance(user)) == (1, 10)


def test_once_in_time_and_only_of_ones_own(caller: Caller, outsider: User) -> None:
    solve_id = solved(caller)
    assert_problem(report(Caller(outsider), solve_id), 404, "not_found")
    assert_problem(report(caller, solve_id, "perhaps"), 400, "invalid")
    assert report(caller, solve_id).status_code == 200
    assert_problem(report(caller, solve_id, "correct"), 409, "already_reported")
    assert_problem(Caller(outsider).get(f"/api/v1/solves/{solve_id}/report"), 404, "not_found")
    assert_problem(caller.get("/api/v1/solves/4711/report"), 404, "not_found")
    late = solved(caller)
    Solve.objects.filter(pk=late).update(created=timezone.now() - timedelta(minutes=61))
    assert_problem(report(caller, late), 410, "report_too_late")
    refused = caller.solve(picture(), max_length=3).json()["id"]
    assert_problem(report(caller, refused), 409, "not_reportable")
    assert SolveReport.objects.count() == 1


def test_what_the_general_reader_read_is_decided_by_the_staff(
    caller: Caller, user: User, make_user: Callable[..., User]
) -> None:
    first, second = solved(caller, UNKNOWN), solved(caller, UNKNOWN)
    report(caller, first)
    report(caller, second)
    assert SolveReport.objects.filter(by_hand=True, state="waiting").count() == 2
    assert reports.settle_reports() == {}

    staff = make_user("root")
    User.objects.filter(pk=staff.pk).update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(staff, backend="accounts.backends.AccountBackend")
    page = client.get(f"/admin/solving/solvereport/{first}/change/").content.decode()
    assert "data:image/jpeg;base64," in page
    for action, solve_id in (("answer_was_wrong", first), ("answer_was_right", second)):
        for _ in range(2):  # the second time nothing waits any more
            client.post(
                "/admin/solving/solvereport/", {"action": action, "_selected_action": [solve_id]}, follow=True
            )
    states = SolveReport.objects.order_by("created").values_list("state", "refunded")
    assert list(states) == [("confirmed", 1), ("rejected", 0)]
    assert refunds(user) == [(1, f"report {first}")]
    assert kept_images.read_for_staff(Solve.objects.get(pk=first)) is None


def test_whoever_is_mostly_wrong_is_told_and_limited(caller: Caller, user: User) -> None:
    ids = [solved(caller) for _ in range(9)]
    for solve_id in ids[:5]:
        assert report(caller, solve_id).json()["notice"] == ""
    labellers_say("2KXQE")
    assert reports.settle_reports() == {"rejected": 5}
    SolveReport.objects.update(created=timezone.now() - timedelta(days=2))
    for solve_id in ids[5:8]:
        assert "5 turned out wrong" in report(caller, solve_id).json()["notice"]
    response = report(caller, ids[8])
    assert_problem(response, 429, "reports_limited")
    assert int(response["Retry-After"]) > 0
    assert report(caller, ids[8], "correct").status_code == 200
    SolveReport.objects.filter(state="rejected").update(created=timezone.now() - timedelta(days=31))
    assert not reports.standing(user).limited


def test_a_deleted_users_account_gets_nothing(caller: Caller, user: User) -> None:
    solve_id = solved(caller)
    report(caller, solve_id)
    services.delete_user(user=user, actor=None)
    labellers_say("other")
    assert reports.settle_reports() == {"confirmed": 1}
    assert not LedgerEntry.objects.filter(kind="refund").exists()


def test_images_are_deleted_when_their_time_is_over(caller: Caller, settings: Any, tmp_path: Any) -> None:
    kept, reported = Solve.objects.get(pk=solved(caller)), Solve.objects.get(pk=solved(caller, UNKNOWN))
    report(caller, reported.pk)
    assert kept_images.read(kept) == picture(TYPE_A, "JPEG")
    out = StringIO()
    call_command("delete_kept_images", stdout=out)
    assert out.getvalue().startswith("0 ")
    (folder,) = [one for one in (tmp_path / "solved").iterdir() if one.name != "reported"]
    folder.rename(folder.with_name("20260101T1020"))
    out = StringIO()
    call_command("delete_kept_images", stdout=out)
    assert out.getvalue().startswith("2 ")
    assert [one.name for one in (tmp_path / "solved").iterdir()] == ["reported"]
    assert kept_images.read_for_staff(reported) == picture(UNKNOWN, "JPEG")
    assert_problem(report(caller, kept.pk), 410, "report_too_late")


def test_no_image_is_kept_where_none_may_be(caller: Caller, settings: Any, tmp_path: Any) -> None:
    settings.REPORT_WINDOW_MINUTES = 0
    assert_problem(report(caller, solved(caller)), 410, "report_too_late")
    assert not (tmp_path / "solved").exists()


def test_a_full_disk_stops_no_solving(caller: Caller, settings: Any, tmp_path: Any) -> None:
    (tmp_path / "solved").write_text("a file where the folder should be")
    assert_problem(report(caller, solved(caller)), 410, "report_too_late")


def test_the_command_says_what_it_settled(caller: Caller) -> None:
    report(caller, solved(caller))
    labellers_say("other")
    out = StringIO()
    call_command("settle_reports", stdout=out)
    assert out.getvalue() == "1 confirmed\n"


@pytest.mark.django_db(transaction=True)
def test_reports_and_settlements_at_once_pay_back_once(user: User) -> None:
    user.credit_account.refresh_from_db()
    solve_id = solved(Caller(user))
    answers = at_once(6, lambda n: report(Caller(user), solve_id))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    labellers_say("other")
    settled = at_once(4, lambda n: reports.settle_reports())
    assert sum(counts["confirmed"] for counts in settled) == 1
    assert (refunds(user), credits.balance(user)) == ([(1, f"report {solve_id}")], 10)


def test_its_image_is_trained_on_with_leave_alone(caller: Caller, user: User) -> None:
    first = solved(caller)
    report(caller, first)
    assert not LabellersReport.objects.get().may_train
    page = Client(headers={"Accept": "text/html"})
    page.force_login(user, backend="accounts.backends.AccountBackend")
    page.post("/accounts/data/consent", {"consent": "yes"})
    report(caller, solved(caller, TYPE_B))
    assert LabellersReport.objects.filter(may_train=True).count() == 2  # before and after it was said
    assert "Withdraw it" in page.get("/accounts/data/").content.decode()
    page.post("/accounts/data/consent", {"consent": "no"})
    assert not LabellersReport.objects.filter(may_train=True).exists()


def test_a_solve_that_was_not_reported_is_told_so(caller: Caller, outsider: User) -> None:
    address = f"/api/v1/solves/{solved(caller)}/report"
    body = assert_problem(caller.get(address), 404, "not_found")
    assert body["detail"] == "This solve was not reported."
    assert "reported" not in assert_problem(Caller(outsider).get(address), 404, "not_found")["detail"]


def test_no_correction_may_be_null(caller: Caller) -> None:
    filed = report(caller, solved(caller), correction=None)
    assert (filed.status_code, filed.json()["correction"]) == (200, "")
