"""No credit is lost or spent twice, and every paid text arrives, while the server's workers are killed.

    python bench/http_kills.py [--solves 2000] [--balance 200] [--clients 8] [--kills 20] [--restarts 0]
        [--database sqlite] [--seed 0]

Clients send images to a gunicorn with two workers against a balance that is smaller than what they ask for,
each image under an Idempotency-Key of its own. Meanwhile workers get SIGKILL in mid-request, and PostgreSQL
is stopped as if its power were cut and started again. A client repeats a request until it has an answer. At
the end: as many charges as credits, entries that add up to the balance, and each charged text in some
client's hands.
"""

import argparse
import http.client
import json
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import (
    BOUNDARY,
    Server,
    form,
    gunicorn,
    images_of,
    keep_what_is_committed,
    new_account,
    prepared,
)
from tests.postgresql import Cluster

IMAGES = 100
FINAL = {200, 402, 422}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--solves", type=int, default=2000)
    parser.add_argument("--balance", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=0, help="immediate stops of PostgreSQL")
    parser.add_argument("--seed", type=int, default=0, help="of who is killed when")
    parser.add_argument("--images", type=Path, help="a folder of captchas (default: drawn for the occasion)")
    parser.add_argument("--artifacts", type=Path, help="models to read with (default: the shipped ones)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    arguments = parser.parse_args()
    if arguments.restarts and arguments.database != "postgresql":
        parser.error("--restarts needs --database postgresql")
    random.seed(arguments.seed)
    images = images_of(arguments.images, IMAGES)
    began = time.monotonic()
    with prepared(arguments.database, arguments.artifacts) as cluster:
        if cluster:
            keep_what_is_committed()
        token = new_account(balance=arguments.balance)
        with gunicorn(workers=2) as server:
            run = Run(server, token, images, arguments.solves)
            run.cluster = cluster
            run.go(clients=arguments.clients, kills=arguments.kills, restarts=arguments.restarts)
        wrong = report(run, arguments.balance)
    print(f"{time.monotonic() - began:.0f} s, seed {arguments.seed}, {arguments.database}")
    sys.exit(wrong)


class Run:
    """The clients, what they were answered, and the killer."""

    def __init__(self, server: Server, token: str, images: list[bytes], solves: int) -> None:
        self.server = server
        self.images = images
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        self.work: SimpleQueue[int] = SimpleQueue()
        for number in range(solves):
            self.work.put(number)
        self.statuses: Counter[int] = Counter()
        self.retried: Counter[str] = Counter()
        self.texts: dict[int, str] = {}
        self.killed = self.restarted = 0
        self.cluster: Cluster | None = None

    def go(self, *, clients: int, kills: int, restarts: int = 0) -> None:
        threads = [threading.Thread(target=self._client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        self._kill(kills, restarts, threads)
        for thread in threads:
            thread.join()

    def _client(self) -> None:
        while True:
            try:
                image = self.images[self.work.get_nowait() % len(self.images)]
            except Empty:
                return
            key = secrets.token_hex(8)
            while (answer := self._ask(image, key)) is None:
                time.sleep(0.05)
            status, body = answer
            self.statuses[status] += 1
            if status == 200:
                self.texts[body["id"]] = body["text"]

    def _ask(self, image: bytes, key: str) -> tuple[int, dict[str, Any]] | None:
        """Status and body of a final answer; None where the request has to be repeated."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(
                "POST", "/api/v1/solves", form("image", image), self.headers | {"Idempotency-Key": key}
            )
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.retried[type(error).__name__] += 1
            return None
        finally:
            connection.close()
        if response.status not in FINAL:
            said = (
                "" if response.status != 503 or response.getheader("Retry-After") else " without Retry-After"
            )
            self.retried[f"HTTP {response.status}{said}"] += 1
            return None
        return response.status, json.loads(body)

    def _kill(self, kills: int, restarts: int, threads: list[threading.Thread]) -> None:
        """SIGKILL to one worker at a time, while there is still something to do, and restarts between."""
        while self.killed < kills and any(thread.is_alive() for thread in threads):
            time.sleep(random.uniform(0.2, 0.8))
            workers = self.server.workers()
            if workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                self.killed += 1
            if self.cluster and self.restarted < restarts * self.killed // kills:
                self.cluster.halt()
                self.cluster.resume()
                self.restarted += 1


def report(run: Run, balance: int) -> int:
    """Print what came of it; 0 when everything is as it must be."""
    from django.db.models import Sum

    from accounts.models import CreditAccount, LedgerEntry
    from solving.models import Solve

    account = CreditAccount.objects.get(user__username="bench")
    entries = LedgerEntry.objects.filter(account=account)
    charged = set(Solve.objects.filter(charged__gt=0).values_list("pk", flat=True))
    checks = {
        "charges = credits spent": entries.filter(kind="charge").count() == balance - account.balance,
        "balance not negative": account.balance >= 0,
        "entries add up to the balance": entries.aggregate(sum=Sum("amount"))["sum"] == account.balance,
        "charged solves = charges": len(charged) == balance - account.balance,
        "every charged text arrived, and no other": charged == set(run.texts),
        "each credit was spent": account.balance == 0 or run.statuses[402] == 0,
    }
    answered = ", ".join(f"{count:,} × {status}" for status, count in sorted(run.statuses.items()))
    print(
        f"{sum(run.statuses.values()):,} requests answered ({answered}); {run.killed} workers killed, "
        f"{run.restarted} restarts of the database"
    )
    print(f"repeated after: {dict(run.retried)}; balance {balance:,} → {account.balance:,}")
    for name, holds in checks.items():
        print(f"  {'yes' if holds else 'NO '}  {name}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    main()
