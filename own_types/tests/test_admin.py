"""What staff do: let a type be trained, look at what was paid for."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.urls import reverse

from accounts.models import User
from ml.models import CaptchaType
from own_types.models import Approval, Training
from own_types.tests.conftest import browser_of, entries, order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_no_launch")]

APPROVALS = "/admin/own_types/approval/"


@pytest.fixture
def root(db: None, settings: Any) -> User:
    settings.EMAIL_URL = "smtp://mail.example.org"
    cache.clear()
    return User.objects.create_superuser("root", "root@example.org", "x")


def ask(user: User, captcha_type: CaptchaType) -> str:
    """Press the button; the page that comes."""
    address = f"/accounts/types/{captcha_type.slug}/train"
    return browser_of(user).post(address, {"key": str(uuid.uuid4())}, follow=True).content.decode()


def needs(user: User) -> str:
    """The first page of the admin, which is headed by them."""
    cache.clear()
    return browser_of(user).get("/admin/").content.decode()


def test_from_asking_for_leave_to_the_training(
    ada: User, root: User, gate: CaptchaType, settings: Any
) -> None:
    settings.PRIVATE_TYPES_NEED_APPROVAL = True
    page = browser_of(ada).get(f"/accounts/types/{gate.slug}/").content.decode()
    assert "Ask for leave to train" in page
    assert "asks for leave" not in needs(root)
    for _ in range(2):
        assert "asked for leave to train this type" in ask(ada, gate)
    assert entries(ada) == []
    assert f"ada asks for leave to train {gate.slug}" in needs(root)
    assert f'href="{APPROVALS}?approved__isempty=1"' in needs(root)
    listed = browser_of(root).get(f"{APPROVALS}?approved__isempty=1").content.decode()
    assert reverse("own-type", args=[gate.slug]) in listed

    approval = Approval.objects.get()
    browser_of(root).post(APPROVALS, {"action": "approve", "_selected_action": [approval.pk]})
    approval.refresh_from_db()
    assert approval.approved_by == root
    assert "asks for leave" not in needs(root)
    assert "A training was ordered for 20 credits." in ask(ada, gate)
    assert entries(ada) == [("training", -20)]


def test_leave_is_given_by_those_who_may(ada: User, clerk: User, gate: CaptchaType) -> None:
    Approval.objects.create(captcha_type=gate)
    form = {"action": "approve", "_selected_action": [Approval.objects.get().pk]}
    assert browser_of(clerk).post(APPROVALS, form).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_approval"))
    browser_of(User.objects.get(pk=clerk.pk)).post(APPROVALS, form)
    assert Approval.objects.get().approved is None
    assert "asks for leave" in needs(User.objects.get(pk=clerk.pk))
    clerk.user_permissions.add(Permission.objects.get(codename="change_approval"))
    browser_of(User.objects.get(pk=clerk.pk)).post(APPROVALS, form)
    assert Approval.objects.get().approved_by == clerk


def test_trainings_are_listed_and_changed_by_nobody(ada: User, root: User, gate: CaptchaType) -> None:
    placed = order(ada, gate)
    browser = browser_of(root)
    listed = browser.get("/admin/own_types/training/").content.decode()
    assert f"training {placed.pk} of {gate.slug}" in listed
    assert placed.run is not None
    assert reverse("jobs:job", args=[placed.run.pk]) in listed
    page = f"/admin/own_types/training/{placed.pk}"
    assert browser.get(f"{page}/change/").status_code == 200
    assert browser.post(f"{page}/change/", {"price": "0"}).status_code == 403
    assert browser.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert Training.objects.get().price == 20
