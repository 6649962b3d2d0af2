"""Whether API and admin stay as fast when the history is long: p95 and queries, before and after filling.

    python bench/history.py [--rows 1000000] [--users 1000] [--turns 40] [--database postgresql|sqlite]

Fills solves and ledger entries of many users, on a database of its own, and asks each list in this process
before and after. A query plan that reads the whole of a large table is named.
"""

import argparse
import io
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import images_of, new_account, prepared

LARGE = ("solving_solve", "accounts_ledgerentry")


@dataclass
class Figures:
    """Of one address: ms of each turn, the most queries that one took, and plans that read a whole table."""

    ms: list[float]
    queries: int
    whole: set[str]

    @property
    def p95(self) -> float:
        return sorted(self.ms)[int(len(self.ms) * 0.95)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments = parser.parse_args()
    images = images_of(None, arguments.turns)
    with prepared(arguments.database, None):
        token = new_account(balance=1_000_000)
        places = _places(token, images)
        fill(arguments.users * 50, arguments.users)
        before = {name: measure(ask, arguments.turns) for name, ask in places.items()}
        started = time.monotonic()
        fill(arguments.rows, arguments.users)
        print(f"{arguments.database}: {_rows():,} solves after {time.monotonic() - started:.0f} s of filling")
        after = {name: measure(ask, arguments.turns) for name, ask in places.items()}
        for name, few in before.items():
            many = after[name]
            print(
                f"  {name:42} p95 {few.p95:7.1f} → {many.p95:7.1f} ms   median {median(few.ms):6.1f} → "
                f"{median(many.ms):6.1f}   queries {few.queries} → {many.queries}"
                + (f"   reads all of {', '.join(sorted(many.whole))}" if many.whole else "")
            )
        _prune(arguments.rows // 20)


def _places(token: str, images: list[bytes]) -> dict[str, Callable[[int], Any]]:
    """What is asked, each a function of the turn's number."""
    from django.conf import settings
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client

    from accounts.models import User

    # Files that nobody has collected have no hashed names.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
    settings.STAFF_NEEDS_TWO_FACTOR = False  # the admin's lists are measured, not its door
    root = User.objects.create_superuser("root", "root@example.org", "x")
    admin = Client(headers={"host": "127.0.0.1"})
    admin.force_login(root, "accounts.backends.AccountBackend")
    api = Client(headers={"host": "127.0.0.1", "authorization": f"Bearer {token}"})

    def solve(turn: int) -> Any:
        image = SimpleUploadedFile("a.jpeg", images[turn % len(images)], content_type="image/jpeg")
        return api.post("/api/v1/solves", {"image": image})

    def page_50(turn: int) -> Any:
        return api.get("/api/v1/solves", {"page_size": "20", "cursor": cursors[turn % len(cursors)]})

    cursors = [""]
    return {
        "POST /api/v1/solves": solve,
        "GET /api/v1/solves": lambda turn: api.get("/api/v1/solves"),
        "the same, by outcome": lambda turn: api.get("/api/v1/solves", {"outcome": "refused"}),
        "the same, by a type that is rare": lambda turn: api.get("/api/v1/solves", {"captcha_type": "rare"}),
        "the same, further pages": lambda turn: _next_page(api, cursors, page_50(turn)),
        "GET /api/v1/account": lambda turn: api.get("/api/v1/account"),
        "admin: solves": lambda turn: admin.get("/admin/solving/solve/"),
        "admin: solves, page 150": lambda turn: admin.get("/admin/solving/solve/", {"p": 150}),
        "admin: solves of a user": lambda turn: admin.get("/admin/solving/solve/", {"q": f"user{turn}"}),
        "admin: ledger entries": lambda turn: admin.get("/admin/accounts/ledgerentry/"),
        "admin: users": lambda turn: admin.get("/admin/accounts/user/"),
        "admin: users by name": lambda turn: admin.get("/admin/accounts/user/", {"q": f"user{turn}"}),
    }


def _next_page(api: Any, cursors: list[str], answer: Any) -> Any:
    """Follow the cursor of the answer in the next turn."""
    from urllib.parse import parse_qs, urlsplit

    following = answer.json().get("next")
    if following:
        cursors.append(parse_qs(urlsplit(following).query)["cursor"][0])
    return answer


def measure(ask: Callable[[int], Any], turns: int) -> Figures:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        ask(0)
    queries, whole = 0, _read_whole([query["sql"] for query in captured.captured_queries])
    ms = []
    for turn in range(turns):
        started = time.perf_counter()
        answer = ask(turn)
        ms.append((time.perf_counter() - started) * 1000)
        if answer.status_code not in (200, 422):
            raise RuntimeError(f"{answer.status_code}: {answer.content[:200]!r}")
    with CaptureQueriesContext(connection) as captured:
        ask(1)
    queries = len(captured.captured_queries)
    return Figures(ms, queries, whole)


def _read_whole(statements: list[str]) -> set[str]:
    """The large tables that a statement reads from end to end, as PostgreSQL plans it."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return set()
    whole: set[str] = set()
    for statement in statements:
        if not statement.startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + statement.replace("%", "%%"))
            plan = "\n".join(row[0] for row in cursor.fetchall())
        whole |= {table for table in LARGE if f"Seq Scan on {table}" in plan and "Limit" not in plan}
    return whole


def _rows() -> int:
    from solving.models import Solve

    return Solve.objects.count()


def fill(rows: int, users: int) -> None:
    """Solves of the last year, one in twenty refused, and an entry for each that was charged."""
    from django.db import connection, connections

    from accounts.models import CreditAccount, User

    if not User.objects.filter(username="user1").exists():
        made = User.objects.bulk_create(
            User(username=f"user{number}", email=f"{number}@example.org", password="!")  # noqa: S106
            for number in range(users)
        )
        CreditAccount.objects.bulk_create(CreditAccount(user=user) for user in made)
    if connection.vendor == "postgresql":
        _fill_in_sql(rows)
    else:
        _fill_by_orm(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    connections.close_all()


def _fill_in_sql(rows: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH owners AS (
                SELECT array_agg(id ORDER BY id) AS accounts, array_agg(user_id ORDER BY id) AS people
                FROM accounts_creditaccount WHERE user_id IS NOT NULL
            ), rows AS (
                SELECT (random() * 9007199254740990)::bigint + 1 AS id, random() < 0.05 AS refused,
                    1 + (number %% array_length(accounts, 1)) AS owner, number, accounts, people
                FROM generate_series(1, %s) AS number, owners
            ), solves AS (
                INSERT INTO solving_solve (id, user_id, account_id, captcha_type, text, answer, confidence,
                    characters, model_version, outcome, reason_code, reason, charged, elapsed_ms, created)
                SELECT id, people[owner], accounts[owner], 'captcha_type_a', '2KXQE', '2KXQE', 0.99,
                    '[["2", 0.99], ["K", 0.99], ["X", 0.99], ["Q", 0.99], ["E", 0.99]]', 'captcha_type_a/2',
                    CASE WHEN refused THEN 'refused' ELSE 'solved' END, '', '',
                    CASE WHEN refused THEN 0 ELSE 1 END, 1.2, now() - random() * interval '365 days'
                FROM rows ON CONFLICT DO NOTHING
            )
            INSERT INTO accounts_ledgerentry
                (account_id, amount, balance_after, kind, reference, reason, actor, created)
            SELECT accounts[owner], -1, 0, 'charge', 'solve ' || id, '', '', now() FROM rows WHERE NOT refused
            """,
            [rows],
        )


def _fill_by_orm(rows: int) -> None:
    import random
    from datetime import timedelta

    from django.utils import timezone

    from accounts.models import CreditAccount
    from solving.models import Solve

    owners = list(CreditAccount.objects.exclude(user=None).values_list("pk", "user_id"))
    now = timezone.now()
    made = (
        Solve(
            account_id=account, user_id=user, captcha_type="captcha_type_a", text="2KXQE", answer="2KXQE",
            confidence=0.99, outcome="solved", charged=1, elapsed_ms=1.2, model_version="captcha_type_a/2",
            created=now - timedelta(days=365 * random.random()),
        )
        for account, user in (owners[number % len(owners)] for number in range(rows))
    )  # fmt: skip
    Solve.objects.bulk_create(made, batch_size=2000, ignore_conflicts=True)


def _prune(about: int) -> None:
    """Delete the oldest rows as `manage.py prune` does, and say how fast that is."""
    from datetime import timedelta

    from django.utils import timezone

    from solving import retention

    rows = _rows()
    share = min(1.0, about / max(rows, 1))
    started = time.monotonic()
    deleted = retention.delete_solves_before(timezone.now() - timedelta(days=365 * (1 - share)))
    seconds = time.monotonic() - started
    print(f"  prune: {deleted:,} solves deleted in {seconds:.1f} s, {deleted / max(seconds, 1e-9):,.0f} a s")


if __name__ == "__main__":
    os.environ.setdefault("THROTTLE_USER", "1000000/min")
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)
    main()
