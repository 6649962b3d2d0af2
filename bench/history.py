"""Whether API, pages and admin stay as fast when the history is long: time, queries, rows read at each size.

    python bench/history.py fill FOLDER --rows 10000000   # a PostgreSQL that is kept in the folder
    python bench/history.py measure FOLDER                # may be repeated: the better runs stay
    python bench/history.py sum FOLDER                    # manage.py sum_up_days
    python bench/history.py prune FOLDER --rows 500000    # the oldest are deleted
    python bench/history.py leave FOLDER                  # a user with a hundredth of all solves is deleted
    python bench/history.py check FOLDER                  # manage.py check_ledger
    python bench/history.py table FOLDER [FOLDER …]       # what was measured, side by side, as Markdown

Filled as time goes by: a year of solves in the order in which they were made, one customer with a tenth of
them and one with a hundredth, 10,000 in all; entries, reports, callbacks and runs of jobs in proportion. Each
address is asked in this process. PostgreSQL itself says how many rows a query read of the tables that grow.
"""

import argparse
import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import images_of, prepared

USERS = 10_000
TURNS = 40
CHUNK = 250_000
GROWS = frozenset(
    {
        "solving_solve", "solving_solvereport", "solving_callback", "solving_daytotal", "solving_taskgroup",
        "jobs_jobrun", "accounts_ledgerentry", "django_admin_log",
    }
)  # fmt: skip
MEASURES = "measured.json"


@dataclass
class Figures:
    """Of one address: ms of each turn, the queries of one, and the most rows that a query of it read."""

    ms: list[float]
    queries: int
    rows: int
    table: str

    @property
    def p95(self) -> float:
        return sorted(self.ms)[int(len(self.ms) * 0.95)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("fill", "measure", "prune", "leave", "check", "sum", "table"))
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--only", default="", help="measure the addresses whose name holds this alone")
    arguments = parser.parse_args()
    if arguments.step == "table":
        print(table([json.loads((folder / MEASURES).read_text()) for folder in arguments.folders]))
        return
    (folder,) = arguments.folders
    signal.signal(signal.SIGTERM, lambda *told: sys.exit("told to end"))  # the database is to be halted first
    steps: dict[str, Callable[[], None]] = {
        "fill": lambda: fill(arguments.rows),
        "measure": lambda: measure_all(folder / MEASURES, arguments.only),
        "prune": lambda: prune(arguments.rows),
        "leave": leave,
        "check": check,
        "sum": sum_up,
    }
    started = time.monotonic()
    with prepared("postgresql", None, kept=folder.resolve()):
        print(f"{rows_of('solving_solve'):,} solves, ready after {time.monotonic() - started:.0f} s")
        steps[arguments.step]()


# To fill


def fill(rows: int) -> None:
    from django.db import connection

    if rows_of("solving_solve"):
        raise SystemExit("It is filled already.")
    _make_users()
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # each row refers to what is there
        cursor.execute("SET synchronous_commit = off")
        for first in range(1, rows + 1, CHUNK):
            last = min(rows, first + CHUNK - 1)
            cursor.execute(_SOLVES, {"first": first, "last": last, "rows": rows})
            _print_progress(last, rows, started)
        for statement in (_OTHERS, _BALANCES):
            cursor.execute(statement, {"rows": rows})
        cursor.execute("SET session_replication_role = DEFAULT")
    sum_up()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("CHECKPOINT")
    print(f"\nfilled in {time.monotonic() - started:.0f} s")
    _print_sizes()


def sum_up() -> None:
    """As the hourly job does, here for a whole year at once."""
    from django.core.management import call_command

    started = time.monotonic()
    call_command("sum_up_days")
    print(f"summed up in {time.monotonic() - started:.0f} s")


def _print_progress(done: int, of: int, started: float) -> None:
    print(f"\r{done:,} of {of:,}, {time.monotonic() - started:.0f} s", end="", flush=True)


def _make_users() -> None:
    """`bench`, who has the most, and user1 to user9999; `root` looks after them."""
    from django.conf import settings

    from accounts import credits
    from accounts.models import CreditAccount, User

    settings.SIGNUP_CREDITS = 0
    bench = User.objects.create_user("bench", "bench@example.org", "x")
    credits.grant(user=bench, amount=1_000_000, reason="benchmark", actor="bench")
    made = User.objects.bulk_create(
        User(username=f"user{number}", email=f"{number}@example.org", password="!")  # noqa: S106
        for number in range(1, USERS)
    )
    CreditAccount.objects.bulk_create(CreditAccount(user=user) for user in made)
    User.objects.create_superuser("root", "root@example.org", "x")


_SOLVES = """
    WITH owners AS MATERIALIZED (
        SELECT array_agg(id ORDER BY user_id) AS accounts, array_agg(user_id ORDER BY user_id) AS people
        FROM accounts_creditaccount
    ), numbered AS MATERIALIZED (
        SELECT number, (random() * 9007199254740990)::bigint + 1 AS id, random() < 0.05 AS refused,
            CASE WHEN number %% 10 = 0 THEN 1 WHEN number %% 100 = 1 THEN 2 ELSE 3 + number * 7919 %% 9998 END
                AS owner,
            CASE WHEN number %% 100003 = 50000 THEN 'rare' WHEN number %% 3 = 0 THEN 'captcha_type_b'
                ELSE 'captcha_type_a' END AS captcha_type,
            now() - interval '365 days' + number * (interval '365 days' / %(rows)s) AS created
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS number
    ), rows AS MATERIALIZED (
        SELECT numbered.*, accounts[owner] AS account, people[owner] AS person FROM numbered, owners
        ORDER BY number
    ), solves AS (
        INSERT INTO solving_solve (id, user_id, account_id, captcha_type, text, answer, confidence,
            characters, model_version, outcome, reason_code, reason, charged, elapsed_ms, created)
        SELECT id, person, account, captcha_type, '2KXQE', '2KXQE', 0.99,
            '[["2", 0.99], ["K", 0.99], ["X", 0.99], ["Q", 0.99], ["E", 0.99]]', 'captcha_type_a/3',
            CASE WHEN refused THEN 'refused' ELSE 'solved' END, '', '',
            CASE WHEN refused THEN 0 ELSE 1 END, 1.2, created
        FROM rows ON CONFLICT DO NOTHING
    ), reports AS (
        INSERT INTO solving_solvereport (solve_id, user_id, verdict, correction, state, by_hand, decided_text,
            refunded, created, decided)
        SELECT id, person, 'incorrect', '', CASE WHEN number %% 200 = 7 THEN 'confirmed' ELSE 'rejected' END,
            false, '', CASE WHEN number %% 200 = 7 THEN 1 ELSE 0 END, created, created
        FROM rows WHERE number %% 100 = 7 AND NOT refused
    ), callbacks AS (
        INSERT INTO solving_callback (user_id, url, content_type, body, digest, state, attempts, error, due,
            created)
        SELECT person, 'https://example.org/done', 'application/json', '{"answer": "2KXQE"}', '', 'delivered',
            1, '', created, created
        FROM rows WHERE number %% 100 = 9
    ), groups AS (
        INSERT INTO solving_taskgroup (id, user_id, solve_ids, created)
        SELECT id, person, jsonb_build_array(id), created FROM rows WHERE number %% 100 = 11
    )
    INSERT INTO accounts_ledgerentry
        (account_id, amount, balance_after, kind, reference, reason, actor, created)
    SELECT account, -1, 0, 'charge', 'solve ' || id, '', '', created FROM rows WHERE NOT refused
    UNION ALL
    SELECT account, 1, 0, 'refund', 'solve ' || id, '', '', created FROM rows
    WHERE number %% 200 = 7 AND NOT refused"""

_OTHERS = """
    INSERT INTO jobs_jobrun (kind, arguments, key, state, attempt, done, "of", line, curve, log, outcome,
        exit_code, host, created, started, finished)
    SELECT CASE WHEN number %% 2 = 0 THEN 'settle_reports' ELSE 'settle_trainings' END, '[]', '', 'succeeded',
        1, 0, 0, '', '[]', 'nothing waits', '', 0, 'web', at, at, at
    FROM (
        SELECT number,
            now() - interval '90 days' + number * (interval '90 days' / greatest(1, %(rows)s / 40)) AS at
        FROM generate_series(1, (%(rows)s / 40)::bigint) AS number
    ) AS runs;
    INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr, action_flag,
        change_message)
    SELECT now() - interval '365 days' + number * (interval '365 days' / greatest(1, %(rows)s / 200)),
        (SELECT id FROM accounts_user WHERE username = 'root'),
        (SELECT id FROM django_content_type WHERE app_label = 'accounts' AND model = 'user'),
        '1', 'user1', 2, '+100 credits: paid'
    FROM generate_series(1, %(rows)s / 200) AS number"""

# What was spent had been granted before: a last entry for each account makes the sum right.
_BALANCES = """
    INSERT INTO accounts_ledgerentry
        (account_id, amount, balance_after, kind, reference, reason, actor, created)
    SELECT account.id, account.balance - total.amount, account.balance, 'grant', '', 'filled', 'bench', now()
    FROM accounts_creditaccount AS account
    JOIN (SELECT account_id, sum(amount) AS amount FROM accounts_ledgerentry GROUP BY account_id) AS total
        ON total.account_id = account.id
    WHERE account.balance <> total.amount"""


def rows_of(table: str) -> int:
    """As PostgreSQL estimates it after the last ANALYZE."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE relname = %s", [table])
        return int(cursor.fetchone()[0])


def _print_sizes() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reltuples::bigint, pg_table_size(oid) >> 20, pg_indexes_size(oid) >> 20 "
            "FROM pg_class WHERE relname = ANY(%s) ORDER BY relname",
            [sorted(GROWS)],
        )
        for name, rows, data, indexes in cursor.fetchall():
            print(f"  {name:22} {rows:12,} rows  {data:6,} MiB, indexes {indexes:6,} MiB")


# To measure


def measure_all(file: Path, only: str) -> None:
    """Each address; of several runs of this the one with the lesser median stays, by address."""
    earlier = json.loads(file.read_text()) if file.exists() else {}
    images = images_of(None, TURNS)
    for name, ask in _places(images).items():
        if only not in name:
            continue
        found = measure(ask)
        before = earlier.get(name)
        print(
            f"  {name:42} median {median(found.ms):7.1f}  p95 {found.p95:7.1f} ms  {found.queries:3} queries"
            f"  {found.rows:9,} rows read  {found.table}",
            flush=True,
        )
        facts = asdict(found) | {"median": median(found.ms), "p95": found.p95}
        if before is None or before["queries"] != found.queries or facts["median"] < before["median"]:
            earlier[name] = facts
        else:
            earlier[name] = before | {"rows": found.rows, "table": found.table}
        file.write_text(json.dumps(earlier))


def _places(images: list[bytes]) -> dict[str, Callable[[int], Any]]:
    """What is asked, each a function of the turn's number."""
    from django.conf import settings
    from django.core.cache import cache
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client
    from django.test.utils import override_settings
    from django.utils import timezone

    from accounts import tokens
    from accounts.models import User

    # Files that nobody has collected have no hashed names.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    override_settings(
        STORAGES=settings.STORAGES | {"staticfiles": plain},
        STAFF_NEEDS_TWO_FACTOR=False,  # the admin's lists are measured, not its door
        METRICS_TOKEN="bench",  # noqa: S106
    ).enable()
    bench = User.objects.get(username="bench")
    admin, page = (Client(headers={"host": "127.0.0.1"}) for _ in range(2))
    admin.force_login(User.objects.get(username="root"), "accounts.backends.AccountBackend")
    page.force_login(bench, "accounts.backends.AccountBackend")
    api = Client(headers={"host": "127.0.0.1", "authorization": f"Bearer {tokens.access_token(user=bench)}"})
    prometheus = Client(headers={"host": "127.0.0.1", "authorization": "Bearer bench"})
    month = (timezone.now() - timedelta(days=30)).date().isoformat()
    some_day = (timezone.now() - timedelta(days=40)).date().isoformat()
    year = {
        "start": (timezone.now() - timedelta(days=365)).date().isoformat(),
        "end": str(timezone.now().date()),
    }

    def solve(turn: int) -> Any:
        image = SimpleUploadedFile("a.jpeg", images[turn % len(images)], content_type="image/jpeg")
        return api.post("/api/v1/solves", {"image": image})

    def cold(ask: Callable[[], Any]) -> Callable[[int], Any]:
        def asked(turn: int) -> Any:
            cache.clear()
            return ask()

        return asked

    def of(client: Client, address: str, **query: Any) -> Callable[[int], Any]:
        return lambda turn: client.get(address, query)

    def further_pages(address: str) -> Callable[[int], Any]:
        cursors = [""]

        def asked(turn: int) -> Any:
            answer = api.get(address, {"page_size": "50", "cursor": cursors[-1]})
            found = re.search(r"cursor=([^&\"]+)", answer.json().get("next") or "")
            cursors.append(found[1].replace("%3D", "=") if found else "")
            return answer

        return asked

    def csv(turn: int) -> Any:
        answer = page.get("/accounts/history/csv")
        for _, _line in zip(range(1000), answer.streaming_content, strict=False):  # type: ignore[attr-defined]
            pass
        answer.close()
        return answer

    lists = "/admin/solving/solve/"
    return {
        "POST /api/v1/solves": solve,
        "GET /api/v1/solves": of(api, "/api/v1/solves"),
        "the same, by outcome": of(api, "/api/v1/solves", outcome="refused"),
        "the same, by a rare type": of(api, "/api/v1/solves", captcha_type="rare"),
        "the same, further pages": further_pages("/api/v1/solves"),
        "GET /api/v1/account": of(api, "/api/v1/account"),
        "GET /api/v1/account/usage": of(api, "/api/v1/account/usage"),
        "the same, a year": of(api, "/api/v1/account/usage", **year),
        "GET /api/v1/account/ledger": of(api, "/api/v1/account/ledger"),
        "the same ledger, further pages": further_pages("/api/v1/account/ledger"),
        "page: account": of(page, "/accounts/"),
        "page: history": of(page, "/accounts/history/"),
        "page: history, a day": of(page, "/accounts/history/", day_from=some_day, day_to=some_day),
        "page: history, since a month": of(page, "/accounts/history/", day_from=month, captcha_type="rare"),
        "page: history as CSV, 1,000 rows": csv,
        "page: types": of(page, "/types/"),
        "page: a type": of(page, "/types/captcha_type_a/"),
        "admin: first page": of(admin, "/admin/"),
        "admin: first page, cold cache": cold(lambda: admin.get("/admin/")),
        "admin: solves": of(admin, lists),
        "admin: solves, page 150": of(admin, lists, p=150),
        "admin: solves, page 200": of(admin, lists, p=200),
        "admin: solves of a day": of(admin, lists, day=some_day),
        "admin: solves of a user": lambda turn: admin.get(lists, {"q": f"user{turn + 1}"}),
        "admin: solves of the largest user": of(admin, lists, q="bench"),
        "admin: ledger entries": of(admin, "/admin/accounts/ledgerentry/"),
        "admin: ledger entries, page 200": of(admin, "/admin/accounts/ledgerentry/", p=200),
        "admin: ledger entries of a day": of(admin, "/admin/accounts/ledgerentry/", day=some_day),
        "admin: ledger entries, refunds": of(admin, "/admin/accounts/ledgerentry/", kind__exact="refund"),
        "admin: ledger entries, charges": of(admin, "/admin/accounts/ledgerentry/", kind__exact="charge"),
        "admin: ledger entries of a user": of(admin, "/admin/accounts/ledgerentry/", q="bench"),
        "admin: users": of(admin, "/admin/accounts/user/"),
        "admin: users by name": lambda turn: admin.get("/admin/accounts/user/", {"q": f"user{turn + 1}"}),
        "admin: a user": of(admin, f"/admin/accounts/user/{bench.pk}/change/"),
        "admin: deletion of a user, asked": of(admin, f"/admin/accounts/user/{bench.pk}/delete/"),
        "admin: reports": of(admin, "/admin/solving/solvereport/"),
        "admin: reports that wait": of(admin, "/admin/solving/solvereport/", state__exact="waiting"),
        "admin: reports of a user": of(admin, "/admin/solving/solvereport/", q="user5"),
        "admin: callbacks": of(admin, "/admin/solving/callback/"),
        "admin: callbacks that wait": of(admin, "/admin/solving/callback/", state__exact="waiting"),
        "admin: callbacks of a user": of(admin, "/admin/solving/callback/", q="user5"),
        "admin: jobs": of(admin, "/admin/jobs/jobrun/"),
        "admin: jobs that failed": of(admin, "/admin/jobs/jobrun/", state__exact="failed"),
        "admin: log entries": of(admin, "/admin/admin/logentry/"),
        "GET /metrics": of(prometheus, "/metrics"),
        "GET /metrics, cold cache": cold(lambda: prometheus.get("/metrics")),
    }


def measure(ask: Callable[[int], Any]) -> Figures:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ask(0)
    with CaptureQueriesContext(connection) as captured:
        ask(1)
    statements = [query["sql"] for query in captured.captured_queries]
    ms = []
    for turn in range(TURNS):
        started = time.perf_counter()
        answer = ask(turn)
        ms.append((time.perf_counter() - started) * 1000)
        if answer.status_code not in (200, 422):
            raise RuntimeError(f"{answer.status_code}: {answer.content[:200]!r}")
        if ms[0] > 2000 and turn >= 4:
            break  # it is slow: that is known now
    rows, table = max((_rows_read(statement) for statement in statements), default=(0, ""))
    return Figures(ms, len(statements), rows, table)


def _rows_read(statement: str) -> tuple[int, str]:
    """How many rows a query reads of one of the tables that grow, at most, and of which."""
    from django.db import connection

    # The CSV's is a cursor of the server's.
    statement = re.sub(r"^DECLARE .*? FOR (?=SELECT)", "", statement)
    if not statement.startswith("SELECT"):
        return 0, ""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement)
        (plan,) = cursor.fetchone()[0]
    return max(_scans(plan["Plan"]), default=(0, ""))


def _scans(node: dict[str, Any]) -> Iterable[tuple[int, str]]:
    for child in node.get("Plans", []):
        yield from _scans(child)
    if node.get("Relation Name") in GROWS or node["Node Type"] == "Bitmap Index Scan":
        read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        name = f"{node['Node Type']} on {node.get('Relation Name') or node['Index Name']}"
        yield int(read * node["Actual Loops"]), name


def table(measured: list[dict[str, Any]]) -> str:
    """Markdown: medians, p95, queries and rows of each size."""
    lines = ["| | queries | rows read | median, ms | p95, ms |", "|---|---|---|---|---|"]
    for name in measured[-1]:
        facts = [one[name] for one in measured if name in one]
        columns = (
            [f"{fact['queries']}" for fact in facts],
            [f"{fact['rows']:,}" for fact in facts],
            [f"{fact['median']:.0f}" for fact in facts],
            [f"{fact['p95']:.0f}" for fact in facts],
        )
        told = (" → ".join(column if len(set(column)) > 1 else column[:1]) for column in columns)
        lines.append(f"| {name} | {' | '.join(told)} |")
    return "\n".join(lines)


# What is done to all of it


def prune(rows: int) -> None:
    """Delete the oldest rows as `manage.py prune` does, and say how fast that is."""
    from django.utils import timezone

    from solving import retention
    from solving.models import Solve

    before = rows_of("solving_solve")
    moment = timezone.now() - timedelta(days=365 * (1 - rows / before))
    oldest = Solve.objects.order_by("created").values_list("created", flat=True)[0]
    started = time.monotonic()
    deleted = retention.delete_solves_before(moment)
    seconds = time.monotonic() - started
    print(
        f"prune: {deleted:,} solves from {oldest:%Y-%m-%d} on deleted in {seconds:.1f} s, "
        f"{deleted / seconds:,.0f} a s"
    )


def leave() -> None:
    from accounts import services
    from accounts.models import User
    from solving.models import Solve

    user = User.objects.get(username="user1")
    solves = Solve.objects.filter(user=user).count()
    started = time.monotonic()
    services.delete_user(user=user, actor=None)
    print(f"user1 with {solves:,} solves deleted in {time.monotonic() - started:.1f} s")


def check() -> None:
    from django.core.management import call_command

    started = time.monotonic()
    call_command("check_ledger")
    print(f"check_ledger: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    os.environ.setdefault("THROTTLE_USER", "1000000/min")
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)
    main()
