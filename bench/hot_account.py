"""Charges a second on one account, which each has to wait for, and spread over many accounts.

    python bench/hot_account.py [--seconds 8] [--clients 8] [--accounts 1000]

So many processes charge one credit at a time, by the statement of a solve, on a PostgreSQL of its own that
waits for its disk (fsync). Printed: commits a second on one account and on all, medians and p95 of a charge.
The ledger is compared at the end; the status is 1 where it does not add up.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import keep_what_is_committed, prepared

CREDITS = 10**7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--of", nargs=2, type=int, metavar=("FIRST", "LAST"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.of:
        print(json.dumps(charged(arguments.of[0], arguments.of[1], arguments.seconds)))
        return
    with prepared("postgresql", None):
        _wait_for_the_disk()
        first = fill(arguments.accounts)
        for accounts in (1, arguments.accounts):
            measure(first, accounts, arguments)
        wrong = _drift()
    print("every balance is the sum of its entries" if not wrong else f"{wrong} balances do not add up")
    sys.exit(1 if wrong else 0)


def measure(first: int, accounts: int, arguments: argparse.Namespace) -> None:
    span = [str(first), str(first + accounts - 1)]
    command = [sys.executable, __file__, "--seconds", str(arguments.seconds), "--of", *span]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(arguments.clients)]
    took = [ms for client in clients for ms in json.loads(client.communicate()[0])]
    p95 = sorted(took)[int(len(took) * 0.95)]
    print(
        f"{accounts:,} accounts, {arguments.clients} clients: {len(took) / arguments.seconds:,.0f} charges a "
        f"second; median {statistics.median(took):.2f} ms, p95 {p95:.2f} ms (n = {len(took):,})"
    )


def charged(first: int, last: int, seconds: float) -> list[float]:
    """Milliseconds of each charge on accounts at random between two ids."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.http_settings"
    import django

    django.setup()
    from accounts import credits

    took: list[float] = []
    credits.charge(account_id=first, amount=1, reference="bench")  # connects
    ends = time.monotonic() + seconds
    while (began := time.monotonic()) < ends:
        credits.charge(account_id=random.randint(first, last), amount=1, reference="bench")
        took.append((time.monotonic() - began) * 1000)
    return took


def fill(accounts: int) -> int:
    """Make users with credits; the id of the first one's account. Ids follow one another."""
    from django.db import connections

    from accounts import credits
    from accounts.models import CreditAccount, User

    users = User.objects.bulk_create(
        [User(username=f"bench{i}", email=f"{i}@example.org") for i in range(accounts)]
    )
    made = CreditAccount.objects.bulk_create([CreditAccount(user=user) for user in users])
    for user in users:
        credits.grant(user=user, amount=CREDITS, reason="benchmark", actor="bench")
    connections.close_all()
    return int(made[0].pk)


def _wait_for_the_disk() -> None:
    """The tests' PostgreSQL never waits for its disk; one that holds money does."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET fsync = on")
        cursor.execute("ALTER SYSTEM SET full_page_writes = on")
    keep_what_is_committed()


def _drift() -> int:
    """How many balances are not the sum of their entries."""
    from accounts.selectors import drifting_accounts

    return sum(1 for _ in drifting_accounts())


if __name__ == "__main__":
    main()
