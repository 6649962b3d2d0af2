"""``manage.py check_ledger``: is every balance the sum of its entries?"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import CreditAccount
from accounts.selectors import drifting_accounts


class Command(BaseCommand):
    help = "Compare every balance with its ledger entries; exit with 1 where they differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the figures as JSON, and nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        drifts = list(drifting_accounts())
        accounts = CreditAccount.objects.count()
        if options["json"]:
            facts = {"accounts": accounts, "differing": [asdict(drift) for drift in drifts]}
            self.stdout.write(json.dumps(facts, indent=1))
        elif options["verbosity"]:
            for drift in drifts:
                self.stdout.write(
                    f"account {drift.account_id}: balance {drift.balance}, "
                    f"sum of entries {drift.sum_of_entries}, last entry says {drift.last_balance_after}"
                )
        if drifts:
            raise CommandError(
                f"{len(drifts)} of {accounts} accounts differ from their ledger. Stop the service, "
                "keep a backup, and find out who wrote to the database beside it."
            )
        if options["verbosity"] and not options["json"]:
            self.stdout.write(f"{accounts} accounts, every balance is the sum of its entries.")
