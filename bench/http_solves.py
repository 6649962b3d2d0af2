"""Solves per CPU-second of the web worker, over HTTP with authentication, ledger and history.

    python bench/http_solves.py [--images DIR] [--requests 500] [--rounds 7] [--database sqlite|postgresql]

Starts gunicorn with one synchronous worker on a new SQLite file, then on a PostgreSQL of its own, and posts
distinct images over loopback: to an endpoint of the REST framework that does nothing but parse the form, to
/api/v1/solves, to the same with an Idempotency-Key, and to /upload_captcha, in turns of `--requests`. CPU
time is the worker's own (user and system, /proc/PID/stat). Medians over the rounds; a ratio is the median of
the rounds' ratios, so that a busy machine weighs on both sides alike.
"""

import argparse
import http.client
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

WARM_UP = 50
BOUNDARY = "captcha-bench-boundary"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """One address under test. `answers` is the status that counts."""

    name: str
    path: str
    field: str
    keyed: bool = False


EMPTY = Target("empty endpoint", "/bench/empty", "image")
TARGETS = (
    EMPTY,
    Target("POST /api/v1/solves", "/api/v1/solves", "image"),
    Target("the same, Idempotency-Key", "/api/v1/solves", "image", keyed=True),
    Target("POST /upload_captcha", "/upload_captcha", "captcha_image"),
)


@dataclass
class Figures:
    """What one database gave. CPU milliseconds a request by target, one value a round."""

    database: str
    reader: str
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
    images = _images(arguments)
    with tempfile.TemporaryDirectory() as folder, _database(arguments.database, Path(folder)) as url:
        environment = _environment(url, arguments.artifacts)
        os.environ.update(environment)
        token, reader = _account()
        with _gunicorn(environment) as (port, worker, ready_s):
            client = Client(port, token)
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
            return Figures(arguments.database, reader, ready_s, rss_mib(worker), cpu_ms, answered, sent)


class Client:
    """Posts images one after the other, a connection each, as gunicorn's synchronous worker wants it."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        }

    def post_each(self, target: Target, images: Sequence[bytes]) -> int:
        """How many of the requests were answered with 200. Raises RuntimeError for any but 200 and 422."""
        solved = 0
        for image in images:
            headers = self.headers | ({"Idempotency-Key": secrets.token_hex(8)} if target.keyed else {})
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request("POST", target.path, form(target.field, image), headers)
            response = connection.getresponse()
            body = response.read()
            connection.close()
            if response.status not in (200, 422):  # a captcha may be refused: it was read all the same
                raise RuntimeError(f"{target.path} answered {response.status}: {body[:300]!r}")
            solved += response.status == 200
        return solved


def form(field: str, image: bytes) -> bytes:
    """A multipart body with one file."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="captcha.jpeg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def _images(arguments: argparse.Namespace) -> list[bytes]:
    """As many distinct images as there are requests in a turn."""
    if arguments.images:
        files = sorted(
            path for path in arguments.images.iterdir() if path.is_file() and path.suffix != ".csv"
        )
        images = [path.read_bytes() for path in files[: arguments.requests]]
        return list(dict.fromkeys(images))
    from ml.recognition.synthesis.generator import draw

    return [_jpeg(draw(seed, "ripples").image) for seed in range(arguments.requests)]


def _jpeg(image: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)  # type: ignore[attr-defined]
    return stream.getvalue()


@contextmanager
def _database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    from tests.postgresql import Cluster

    cluster = Cluster()
    try:
        yield cluster.url
    finally:
        cluster.stop()


def _environment(url: str, artifacts: Path | None) -> dict[str, str]:
    environment = {
        "DJANGO_SETTINGS_MODULE": "bench.http_settings",
        "DATABASE_URL": url,
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(60),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "0",
        "THROTTLE_SOLVE": "100000000/min",
        "LOG_LEVEL": "ERROR",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if artifacts is not None:
        environment["BENCH_ARTIFACTS"] = str(artifacts.resolve())
    return environment


def _account() -> tuple[str, str]:
    """The token of a new user with plenty of credits, and the readers that serve."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from accounts import credits, services, tokens
    from ml.models import ModelVersion

    call_command("migrate", verbosity=0)
    call_command("install_models", stdout=io.StringIO())
    user = services.register_user(username="bench", email="bench@example.org", password=secrets.token_hex(12))
    credits.grant(user=user, amount=10_000_000, reason="benchmark", actor="bench")
    token = tokens.access_token(user=user)
    readers = ", ".join(map(str, ModelVersion.objects.filter(state="serving").order_by("slug")))
    connections.close_all()
    return token, readers


@contextmanager
def _gunicorn(environment: dict[str, str]) -> Iterator[tuple[int, int, float]]:
    """Port, process id of the one worker, and seconds from the start until /readyz answered 200."""
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "captcha_site.wsgi", "--workers", "1", "--bind"]
    command += [f"127.0.0.1:{port}", "--log-level", "error", "--no-control-socket"]
    started = time.monotonic()
    server = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)
    try:
        while not _is_ready(port):
            if server.poll() is not None or time.monotonic() - started > 60:
                raise RuntimeError("the server does not become ready")
            time.sleep(0.02)
        ready_s = time.monotonic() - started
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        yield port, int(children[0]), ready_s
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _print(figures: Figures, arguments: argparse.Namespace) -> None:
    source = arguments.images or "images drawn by the project"
    print(f"\n{figures.database}: {figures.reader or 'no models'}; {source}")
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
