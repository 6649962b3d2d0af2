"""Solves per CPU-second of the web worker, over HTTP with authentication, ledger and history.

    python bench/http_solves.py [--images DIR] [--requests 500] [--rounds 7] [--database sqlite|postgresql]

Starts gunicorn with one synchronous worker on a new SQLite file, then on a PostgreSQL of its own, and posts
distinct images over loopback: to an endpoint of the REST framework that does nothing but parse the form, to
/api/v1/solves with a token, to the same with an API key and with an Idempotency-Key, to /upload_captcha,
and, 64 at a time, to /api/v1/solves/batch, in turns of `--requests` images. CPU time is the worker's own
(user and system, /proc/PID/stat). Medians over the rounds; a ratio is the median of the rounds' ratios, so
that a busy machine weighs on both sides alike.
"""

import argparse
import http.client
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import (
    BOUNDARY,
    form,
    gunicorn,
    images_of,
    new_account,
    new_api_key,
    prepared,
    serving_models,
)

WARM_UP = 50
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """One address under test. `answers` is the status that counts."""

    name: str
    path: str
    field: str
    once: bool = False
    """With an Idempotency-Key."""
    api_key: bool = False
    """With an API key in place of a token."""
    batch: int = 1
    """Images of one request; figures are of an image."""


EMPTY = Target("empty endpoint", "/bench/empty", "image")
TARGETS = (
    EMPTY,
    Target("POST /api/v1/solves", "/api/v1/solves", "image"),
    Target("the same, API key", "/api/v1/solves", "image", api_key=True),
    Target("the same, Idempotency-Key", "/api/v1/solves", "image", once=True),
    Target("POST /api/v1/solves/batch", "/api/v1/solves/batch", "image", batch=64),
    Target("POST /upload_captcha", "/upload_captcha", "captcha_image"),
)


@dataclass
class Figures:
    """What one database gave. CPU milliseconds a request by target, one value a round."""

    database: str
    models: str
    ready_s: float
    rss_mib: float
    cpu_ms: dict[str, list[float]]
    answered: dict[str, int]
    sent: dict[str, int]


def main() -> None:
    arguments = _parse()
    if arguments.database:
        print(json.dumps(asdict(_measure(arguments))))
        return
    for database in ("sqlite", "postgresql"):  # a process each: Django is set up once a process
        command = [sys.executable, __file__, *sys.argv[1:], "--database", database]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        _print(Figures(**json.loads(done.stdout.splitlines()[-1])), arguments)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder of captchas (default: drawn for the occasion)")
    parser.add_argument("--requests", type=int, default=500, help="requests in each turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--artifacts", type=Path, help="models to read with (default: the shipped ones)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="measure on this one only")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> Figures:
    print(f"preparing {arguments.database} …", file=sys.stderr)
    images = images_of(arguments.images, arguments.requests)
    with prepared(arguments.database, arguments.artifacts):
        token, models = new_account(balance=10_000_000), serving_models()
        api_key = new_api_key()
        with gunicorn() as server:
            (worker,) = server.workers()
            client = Client(server.port, token, api_key)
            cpu_ms: dict[str, list[float]] = {target.name: [] for target in TARGETS}
            answered = dict.fromkeys(cpu_ms, 0)
            sent = dict.fromkeys(cpu_ms, 0)
            for target in TARGETS:
                client.post_each(target, images[:WARM_UP])
            for number in range(arguments.rounds):
                print(f"{arguments.database}: round {number + 1} of {arguments.rounds}", file=sys.stderr)
                for target in TARGETS:
                    before = cpu_seconds(worker)
                    answered[target.name] += client.post_each(target, images)
                    cpu_ms[target.name].append((cpu_seconds(worker) - before) * 1000 / len(images))
                    sent[target.name] += len(images)
            figures = (server.ready_s, rss_mib(worker), cpu_ms, answered, sent)
            return Figures(arguments.database, models, *figures)


class Client:
    """Posts images one after the other, a connection each, as gunicorn's synchronous worker wants it."""

    def __init__(self, port: int, token: str, api_key: str) -> None:
        self.port = port
        self.token = f"Bearer {token}"
        self.api_key = f"Api-Key {api_key}"

    def headers_for(self, target: Target) -> dict[str, str]:
        headers = {
            "Authorization": self.api_key if target.api_key else self.token,
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        return headers | ({"Idempotency-Key": secrets.token_hex(8)} if target.once else {})

    def post_each(self, target: Target, images: Sequence[bytes]) -> int:
        """How many of the requests were answered with 200. Raises RuntimeError for any but 200 and 422."""
        solved = 0
        for start in range(0, len(images), target.batch):
            body = form(target.field, *images[start : start + target.batch])
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request("POST", target.path, body, self.headers_for(target))
            response = connection.getresponse()
            answer = response.read()
            connection.close()
            if response.status not in (200, 422):  # a captcha may be refused: it was read all the same
                raise RuntimeError(f"{target.path} answered {response.status}: {answer[:300]!r}")
            solved += answer.count(b'"outcome": "solved"') if target.batch > 1 else response.status == 200
        return solved


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _print(figures: Figures, arguments: argparse.Namespace) -> None:
    source = arguments.images or "images drawn by the project"
    print(f"\n{figures.database}: {figures.models or 'no models'}; {source}")
    print(
        f"  start to the first 200 of /readyz: {figures.ready_s:.2f} s; "
        f"RSS of the worker: {figures.rss_mib:.0f} MiB"
    )
    for name, values in figures.cpu_ms.items():
        ratio = median(value / empty for value, empty in zip(values, figures.cpu_ms[EMPTY.name], strict=True))
        print(
            f"  {name:28} {1000 / median(values):6.0f} per CPU-second   {median(values):5.2f} ms "
            f"({min(values):.2f} to {max(values):.2f})   {ratio:4.2f} × empty   "
            f"n = {figures.sent[name]:,} ({len(values)} rounds), {figures.answered[name]:,} answered 200"
        )


if __name__ == "__main__":
    main()
