"""``manage.py demo``: users with known passwords, for a trial on one's own machine."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction

from accounts import credits
from accounts.models import User
from jobs.commands import TaskCommand

DEMO_CREDITS = 1000


class Command(TaskCommand):
    help = f"Create the users test/test with {DEMO_CREDITS} credits and admin/admin. Only with DEBUG on."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "DEBUG is off: users with known passwords would open this service to everybody. "
                "Create an admin with: manage.py createsuperuser"
            )
        self._ensure("test", is_admin=False)
        self._ensure("admin", is_admin=True)

    @transaction.atomic
    def _ensure(self, name: str, *, is_admin: bool) -> None:
        if user := User.objects.filter(username__iexact=name).first():
            self._top_up(user)
            return
        create = User.objects.create_superuser if is_admin else User.objects.create_user
        user = create(username=name, email=f"{name}@example.com", password=name)
        credits.open_account(user=user, gift=0)
        credits.grant(user=user, amount=DEMO_CREDITS, reason="demo user", actor="manage.py demo")
        self.stdout.write(f"{name}: created, password {name}, {DEMO_CREDITS} credits")

    def _top_up(self, user: User) -> None:
        """A trial does not end because its credits are spent."""
        balance = credits.balance(user)
        if balance < DEMO_CREDITS // 10:
            credits.grant(user=user, amount=DEMO_CREDITS, reason="demo user", actor="manage.py demo")
            balance += DEMO_CREDITS
        self.stdout.write(f"{user.username}: there already, {balance} credits")
