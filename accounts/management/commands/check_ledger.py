"""``manage.py check_ledger``: is every balance the sum of its entries?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import CreditAccount
from accounts.selectors import drifting_accounts


class Command(BaseCommand):
    help = "Compare every balance with its ledger entries; exit with 1 where they differ."

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for drift in drifting_accounts():
            count += 1
            self.stdout.write(
                f"account {drift.account_id}: balance {drift.balance}, "
                f"sum of entries {drift.sum_of_entries}, last entry says {drift.last_balance_after}"
            )
        if count:
            raise CommandError(
                f"{count} of {CreditAccount.objects.count()} accounts differ from their ledger."
            )
        self.stdout.write(
            f"{CreditAccount.objects.count()} accounts, every balance is the sum of its entries."
        )
