"""``manage.py demo``."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts import credits
from accounts.models import User

pytestmark = pytest.mark.django_db


def test_it_refuses_when_debug_is_off(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG is off"):
        call_command("demo")
    assert not User.objects.exists()


def test_it_makes_a_user_with_credits_and_an_admin(settings: Settings) -> None:
    settings.DEBUG = True
    call_command("demo", stdout=StringIO())
    test, admin = User.objects.get(username="test"), User.objects.get(username="admin")
    assert test.check_password("test")
    assert credits.balance(test) == 1000
    assert not test.is_staff
    assert admin.check_password("admin")
    assert admin.is_staff
    assert admin.is_superuser


def test_a_second_run_changes_nothing(settings: Settings) -> None:
    settings.DEBUG = True
    call_command("demo", stdout=StringIO())
    user = User.objects.get(username="test")
    credits.charge(account_id=user.credit_account.pk, amount=1, reference="a solve")
    call_command("demo", stdout=StringIO())
    assert User.objects.count() == 2
    assert credits.balance(user) == 999


def test_spent_credits_come_back(settings: Settings) -> None:
    settings.DEBUG = True
    call_command("demo", stdout=StringIO())
    user = User.objects.get(username="test")
    credits.charge(account_id=user.credit_account.pk, amount=950, reference="many solves")
    call_command("demo", stdout=StringIO())
    assert credits.balance(user) == 1050
