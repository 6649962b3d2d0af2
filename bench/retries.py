"""Many retries at once under one Idempotency-Key are one solve: one charge, one answer, byte for byte.

    python bench/retries.py [--keys 1000] [--retries 10] [--database postgresql|sqlite]

For each key so many clients post the same image at once to a gunicorn with four workers, and repeat what is
answered 409 (the first is still at work). Then another image is posted under each key, which must be refused.
The status is 1 when a charge is missing or one too many, or an answer differs.
"""

import argparse
import http.client
import secrets
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import BOUNDARY, form, gunicorn, images_of, new_account, prepared

WORKERS = 4
IMAGES = 100
FIRST_AT_WORK = 409
REUSED = b'"idempotency_key_reused"'


class Clients:
    """Post images under keys, and count what came back."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        self.statuses: Counter[int] = Counter()
        self._lock = threading.Lock()

    def until_answered(self, key: str, image: bytes) -> tuple[int, bytes]:
        while (answer := self.once(key, image))[0] == FIRST_AT_WORK:
            time.sleep(0.02)
        return answer

    def once(self, key: str, image: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = self._headers | {"Idempotency-Key": key}
        connection.request("POST", "/api/v1/solves", form("image", image), headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        with self._lock:
            self.statuses[response.status] += 1
        return response.status, body


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1000)
    parser.add_argument("--retries", type=int, default=10)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments = parser.parse_args()
    images = images_of(None, IMAGES)
    began = time.monotonic()
    with prepared(arguments.database, None):
        token = new_account(balance=arguments.keys * 2)
        with gunicorn(workers=WORKERS) as server:
            clients = Clients(server.port, token)
            same, refused = measure(clients, images, arguments.keys, arguments.retries)
        wrong = report(clients, arguments.keys, same, refused)
    print(f"{time.monotonic() - began:.0f} s, {arguments.database}")
    sys.exit(wrong)


def measure(clients: Clients, images: list[bytes], keys: int, retries: int) -> tuple[int, int]:
    """For how many keys all answers were one, and how many refused another image."""
    same = refused = 0
    with ThreadPoolExecutor(retries) as pool:
        for number in range(keys):
            key, image = secrets.token_hex(8), images[number % len(images)]
            answers = set(pool.map(lambda _, k=key, i=image: clients.until_answered(k, i), range(retries)))
            same += len(answers) == 1
            _, body = clients.once(key, images[(number + 1) % len(images)])
            refused += REUSED in body
    return same, refused


def report(clients: Clients, keys: int, same: int, refused: int) -> int:
    """Print what came of it; 0 when everything is as it must be."""
    from django.db.models import Sum

    from accounts.models import CreditAccount, LedgerEntry
    from solving.models import Solve

    account = CreditAccount.objects.get(user__username="bench")
    entries = LedgerEntry.objects.filter(account=account)
    solved = Solve.objects.filter(charged__gt=0).count()
    checks = {
        f"{same:,} of {keys:,} keys: one answer for all": same == keys,
        f"{Solve.objects.count():,} solves stored, one a key": Solve.objects.count() == keys,
        f"{keys * 2 - account.balance:,} credits charged, one a solved key": (
            entries.filter(kind="charge").count() == solved == keys * 2 - account.balance
        ),
        "entries add up to the balance": entries.aggregate(sum=Sum("amount"))["sum"] == account.balance,
        f"{refused:,} of {keys:,} keys: another image was refused": refused == keys,
    }
    answered = ", ".join(f"{count:,} × {status}" for status, count in sorted(clients.statuses.items()))
    print(f"{sum(clients.statuses.values()):,} requests answered ({answered})")
    for name, holds in checks.items():
        print(f"  {'yes' if holds else 'NO '}  {name}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    main()
