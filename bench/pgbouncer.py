"""What of this service's use of PostgreSQL a pool of transactions (pgbouncer) breaks, and what it costs.

    .venv-dev/bin/python -m bench.pgbouncer [--solves 800] [--clients 4] [--workers 4] [--pool 2]

Two `manage.py prepare` at once; queries read piece by piece, with and without server-side cursors; solves
over HTTP, straight to PostgreSQL and through the pool in turns. It needs pgbouncer (Debian's package).
"""

import argparse
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from bench.http_server import BOUNDARY, ROOT, form, gunicorn, images_of, new_account, prepared
from tests.postgresql import Cluster, _server_user

NO_CURSORS = "&DISABLE_SERVER_SIDE_CURSORS=true"
READERS = 6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--solves", type=int, default=800)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pool", type=int, default=2, help="connections that pgbouncer keeps to PostgreSQL")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--of", nargs=2, metavar=("STEP", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of:
        step, url = options.of
        use(url)
        if step == "read":
            read_piece_by_piece()
        else:
            solve(options)
        return
    with through_a_pool(options.pool) as (_, pooled):
        prepare_twice(pooled)
        again("read", pooled)
        again("read", pooled + NO_CURSORS)
    for _ in range(options.turns):
        with through_a_pool(options.pool) as (direct, _):
            again("solve", direct)
        with through_a_pool(options.pool) as (_, pooled):
            again("solve", pooled + NO_CURSORS)


def use(url: str) -> None:
    """In this process and in what it starts."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="captcha_site.settings", ENV_FILE=os.devnull, DEBUG="1", DATABASE_URL=url
    )


def again(step: str, url: str) -> None:
    """That step in a process of its own: Django is set up once in each."""
    how = "through the pool" if "port=" in url else "straight"
    how += ", without server-side cursors" if NO_CURSORS in url else ""
    print(f"{step}, {how}: ", end="", flush=True)
    subprocess.run([sys.executable, "-m", "bench.pgbouncer", *sys.argv[1:], "--of", step, url], cwd=ROOT)


@contextmanager
def through_a_pool(size: int) -> Iterator[tuple[str, str]]:
    """The addresses of an empty PostgreSQL: its own, and that of a pgbouncer before it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("pgbouncer is not installed: apt-get install pgbouncer")
    cluster, as_user = Cluster(), _server_user()
    folder = Path(tempfile.mkdtemp(prefix="bouncer-", dir=cluster._folder))
    (folder / "ini").write_text(
        f"[databases]\npostgres = host={cluster._folder} user=postgres\n[pgbouncer]\nlisten_addr =\n"
        f"unix_socket_dir = {folder}\nlisten_port = 6432\nauth_type = any\npool_mode = transaction\n"
        f"default_pool_size = {size}\nmax_client_conn = 500\nlogfile = {folder}/log\n"
    )
    if as_user:
        os.chown(folder, as_user["user"], as_user["group"])
        folder.chmod(0o755)
    silent: Any = subprocess.DEVNULL
    bouncer = subprocess.Popen([program, str(folder / "ini")], stdout=silent, stderr=silent, **as_user)
    try:
        while not (folder / ".s.PGSQL.6432").exists():
            if bouncer.poll() is not None:
                raise SystemExit(f"pgbouncer does not start: {(folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)
        yield cluster.url, f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}&port=6432"
    finally:
        bouncer.terminate()
        bouncer.wait()
        cluster.stop()


def prepare_twice(url: str) -> None:
    use(url)
    command = [sys.executable, "manage.py", "prepare"]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate()[0] for one in both]
    print(
        f"two prepare at once: ended with {[one.returncode for one in both]}, of which "
        f"{sum('scheduled' in text for text in said)} had something to do",
        flush=True,
    )


def read_piece_by_piece() -> None:
    import django

    django.setup()
    from django.db import connection

    from accounts.models import User

    for number in range(30 - User.objects.count()):
        User.objects.create(username=f"u{number}", email=f"u{number}@example.org")
    ends: Counter[str] = Counter()

    def read() -> None:
        for _ in range(10):
            try:
                for user in User.objects.order_by("pk").iterator(chunk_size=2):
                    User.objects.filter(pk=user.pk).update(first_name="read")
                ends["whole"] += 1
            except Exception as error:  # closing a cursor that is gone raises psycopg2's own error
                ends[type(error).__name__] += 1
                connection.close()
        connection.close()

    _at_once([read] * READERS)
    print(dict(ends))


def solve(options: argparse.Namespace) -> None:
    with prepared("postgresql", None, there=os.environ["DATABASE_URL"]):
        token = new_account(1_000_000)
        bodies = [form("image", image) for image in images_of(None, 64)]
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Authorization": f"Bearer {token}",
        }
        answers: list[tuple[int, float]] = []

        def client(requests: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for number in range(requests):
                began = time.perf_counter()
                connection.request("POST", "/api/v1/solves", bodies[number % len(bodies)], headers)
                response = connection.getresponse()
                response.read()
                answers.append((response.status, time.perf_counter() - began))

        with gunicorn(workers=options.workers) as server:
            client(40)
            answers.clear()
            began = time.monotonic()
            _at_once([lambda: client(options.solves // options.clients)] * options.clients)
            seconds = time.monotonic() - began
        from django.db.models import Sum

        from accounts.models import CreditAccount, LedgerEntry

        account = CreditAccount.objects.get(user__username="bench")
        total = LedgerEntry.objects.filter(account=account).aggregate(total=Sum("amount"))["total"]
        times = sorted(taken for _, taken in answers)
        met = "balance = sum of entries" if account.balance == total else "NO balance is not the sum"
        print(
            f"{len(answers) / seconds:.0f} a second, median {median(times) * 1000:.0f} ms, p95 "
            f"{times[int(0.95 * len(times))] * 1000:.0f} ms; "
            f"{dict(Counter(status for status, _ in answers))}; {met}"
        )


def _at_once(tasks: list[Any]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
