"""How many of 10,000 password guesses are looked at, and whether the owner still gets in.

    python bench/login_guesses.py [--guesses 10000] [--addresses 100] [--database sqlite|postgresql]

Posts to /get_token inside this process, on a new database, from made-up client addresses in turn, one
account's name in changing case. The limit of requests by address is lifted, so that the log-in guard alone
is measured. Also compares the median time of a wrong password for a known name and for an unknown one.
"""

import argparse
import logging
import os
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PASSWORD = secrets.token_urlsafe(12)
OWNERS_ADDRESS = "192.0.2.1"
NAMES = ("alice", "ALICE", "Alice", "aLiCe")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--guesses", type=int, default=10_000)
    parser.add_argument("--addresses", type=int, default=100)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        configure(arguments.database, stack)
        measure(arguments.guesses, arguments.addresses)


def configure(database: str, stack: ExitStack) -> None:
    """Django on a database of its own that goes away with ``stack``."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    url = f"sqlite:///{folder}/db.sqlite3"
    if database == "postgresql":
        from tests.postgresql import Cluster

        cluster = Cluster()
        stack.callback(cluster.stop)
        url = cluster.url
    os.environ.update(
        DJANGO_SETTINGS_MODULE="captcha_site.settings",
        ENV_FILE=os.devnull,
        SECRET_KEY=secrets.token_urlsafe(50),
        ALLOWED_HOSTS="testserver",
        SECURE_SSL_REDIRECT="0",
        DEBUG="0",
        DATABASE_URL=url,
        THROTTLE_TOKEN="1000000/second",  # noqa: S106 - a rate
    )
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    logging.disable()  # ten thousand refusals
    stack.callback(connections.close_all)
    call_command("migrate", verbosity=0)


def measure(guesses: int, addresses: int) -> None:
    from django.contrib.auth.hashers import PBKDF2PasswordHasher
    from django.test import Client

    from accounts import services

    evaluated = 0
    encode = PBKDF2PasswordHasher.encode

    def counted(*args: object, **kwargs: object) -> str:
        nonlocal evaluated
        evaluated += 1
        return encode(*args, **kwargs)  # type: ignore[arg-type]

    for name in ("alice", "bob"):
        services.register_user(username=name, email=f"{name}@example.org", password=PASSWORD)
    PBKDF2PasswordHasher.encode = counted  # type: ignore[method-assign]
    client = Client()

    def log_in(name: str, password: str, address: str) -> int:
        form = {"username": name, "password": password}
        return client.post("/get_token", form, REMOTE_ADDR=address).status_code

    known: list[float] = []
    unknown: list[float] = []
    for turn in range(20):
        for name, seconds in (("bob", known), ("nobody", unknown)):
            start = time.perf_counter()
            log_in(name, "wrong", f"203.0.113.{turn}")
            seconds.append(time.perf_counter() - start)
    log_in("alice", PASSWORD, OWNERS_ADDRESS)
    before = evaluated
    for number in range(guesses):
        log_in(NAMES[number % len(NAMES)], f"guess {number}", f"198.51.100.{number % addresses}")
    print(f"evaluated: {evaluated - before} of {guesses} guesses, from {addresses} addresses")
    print(f"the owner, from a known address: {log_in('alice', PASSWORD, OWNERS_ADDRESS)}")
    print(f"the owner, from a new address: {log_in('alice', PASSWORD, '192.0.2.2')} (closed for the hour)")
    print(
        f"a wrong password, median of {len(known)}: known name {median(known) * 1e3:.1f} ms, "
        f"unknown name {median(unknown) * 1e3:.1f} ms"
    )


if __name__ == "__main__":
    main()
