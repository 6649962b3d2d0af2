"""The history in the admin: shown to staff with the permission, changed by nobody."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services
from accounts.models import User
from solving.models import Callback, Solve, SolveReport
from solving.tests.conftest import Caller
from solving.tests.pictures import picture

LIST = "admin:solving_solve_changelist"


@pytest.fixture
def admin(readers: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.org", "a password"))
    return client


@pytest.fixture
def solve(caller: Caller) -> Solve:
    caller.solve(picture())
    return Solve.objects.get()


def test_the_newest_come_first_with_their_user(admin: Client, caller: Caller, solve: Solve) -> None:
    caller.solve(picture(), max_length=4)
    html = admin.get(reverse(LIST)).content.decode()
    assert "ada" in html
    assert html.index("refused") < html.index("2KXQE")
    assert re.search(r'field-sure">[01]\.\d{4}<', html)
    assert re.search(r"field-created[^>]*>(<a[^>]*>)?\d{4}-\d\d-\d\d \d\d:\d\d UTC<", html)
    assert (
        "whether staff decide" in admin.get(reverse("admin:solving_solvereport_changelist")).content.decode()
    )


def test_a_deleted_users_solves_stay_without_a_name(admin: Client, user: User, solve: Solve) -> None:
    services.delete_user(user=user, actor=None)
    html = admin.get(reverse(LIST)).content.decode()
    assert f"account {solve.account_id}, deleted" in html


@pytest.mark.parametrize(
    ("query", "found"), [("ADA", True), ("ad", False), ("eve", False), ("1", False), ("9" * 30, False)]
)
def test_the_search_takes_whole_names_and_ids(
    admin: Client, outsider: User, solve: Solve, query: str, found: bool
) -> None:
    assert ("2KXQE" in admin.get(reverse(LIST), {"q": query}).content.decode()) is found
    assert "2KXQE" in admin.get(reverse(LIST), {"q": str(solve.pk)}).content.decode()


def test_nobody_changes_or_deletes_one(admin: Client, solve: Solve) -> None:
    change = reverse("admin:solving_solve_change", args=[solve.pk])
    assert admin.get(change).status_code == 200
    assert admin.post(change, {"text": "other"}).status_code == 403
    assert (
        admin.post(reverse("admin:solving_solve_delete", args=[solve.pk]), {"post": "yes"}).status_code == 403
    )
    assert admin.get(reverse("admin:solving_solve_add")).status_code == 403
    solve.refresh_from_db()
    assert solve.text == "2KXQE"


def test_staff_without_the_permission_see_nothing(solve: Solve, outsider: User) -> None:
    User.objects.filter(pk=outsider.pk).update(is_staff=True)
    client = Client()
    outsider.refresh_from_db()
    client.force_login(outsider)
    assert client.get(reverse(LIST)).status_code == 403


def test_the_number_of_queries_is_constant(
    admin: Client, caller: Caller, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        caller.solve(picture())
    with django_assert_max_num_queries(6):
        assert admin.get(reverse(LIST)).status_code == 200


@pytest.mark.parametrize(("query", "found"), [("ADA", True), ("ad", False), ("eve", False), ("1", False)])
def test_reports_and_callbacks_are_found_by_whole_names(
    admin: Client, user: User, outsider: User, solve: Solve, query: str, found: bool
) -> None:
    SolveReport.objects.create(solve=solve, user=user, verdict="incorrect", state="waiting")
    Callback.objects.create(
        user=user, url="https://example.org/done", body=b"", digest="", due=timezone.now()
    )
    reports, callbacks = "admin:solving_solvereport_changelist", "admin:solving_callback_changelist"
    assert ("2KXQE" in admin.get(reverse(reports), {"q": query}).content.decode()) is found
    assert ("example.org/done" in admin.get(reverse(callbacks), {"q": query}).content.decode()) is found
    assert "2KXQE" in admin.get(reverse(reports), {"q": str(solve.pk)}).content.decode()
    assert "example.org/done" in admin.get(reverse(callbacks), {"q": "https://example"}).content.decode()
