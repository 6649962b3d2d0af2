"""What the benchmarks over HTTP share: a database and a server of their own, an account, images to send."""

import http.client
import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.postgresql import Cluster

ROOT = Path(__file__).resolve().parent.parent
BOUNDARY = "captcha-bench-boundary"


@dataclass(frozen=True)
class Server:
    """A running gunicorn: its port, its process, and seconds from its start to the first 200 of /readyz."""

    port: int
    pid: int
    ready_s: float

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


@contextmanager
def prepared(
    database: str, artifacts: Path | None, *, kept: Path | None = None, there: str | None = None
) -> Iterator[Cluster | None]:
    """This process and its children set up on an empty database, `sqlite` or `postgresql`. Once a process.

    Gives the PostgreSQL server, where it is one. In the folder `kept` it stays, and is found as it was left.
    `there` is the URL of one that somebody else runs.
    """
    with ExitStack() as opened:
        if there is not None:
            url, cluster = there, None
        else:
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            url, cluster = opened.enter_context(database_at(database, folder, kept))
        os.environ.update(_environment(url, artifacts))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("install_models", stdout=io.StringIO())
        yield cluster


@contextmanager
def database_at(name: str, folder: Path, kept: Path | None = None) -> Iterator[tuple[str, Cluster | None]]:
    """The URL of a database, empty unless it was kept, and its server."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}", None
        return
    cluster = Cluster(kept)
    try:
        yield cluster.url, cluster
    finally:
        if kept is None:
            cluster.stop()
        else:
            cluster.halt(orderly=True)


def _environment(url: str, artifacts: Path | None) -> dict[str, str]:
    environment = {
        "DJANGO_SETTINGS_MODULE": "bench.http_settings",
        "DATABASE_URL": url,
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_urlsafe(60),
        "ALLOWED_HOSTS": "127.0.0.1",
        "SECURE_SSL_REDIRECT": "0",
        "THROTTLE_SOLVE": "100000000/min",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "ERROR"),
        "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if artifacts is not None:
        environment["BENCH_ARTIFACTS"] = str(artifacts.resolve())
    return environment


def keep_what_is_committed() -> None:
    """The tests' PostgreSQL answers before it has written; one that holds money does not."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET synchronous_commit = on")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()


def new_account(balance: int) -> str:
    """The token of a new user with that many credits."""
    from django.conf import settings
    from django.db import connections

    from accounts import credits, services, tokens

    settings.SIGNUP_CREDITS = 0
    password = secrets.token_hex(12)
    user = services.register_user(username="bench", email="bench@example.org", password=password)
    credits.grant(user=user, amount=balance, reason="benchmark", actor="bench")
    connections.close_all()
    return tokens.access_token(user=user)


def new_api_key() -> str:
    """An API key of the user that `new_account` made."""
    from django.db import connections

    from accounts import api_keys
    from accounts.models import User

    _, text = api_keys.create(user=User.objects.get(username="bench"), name="bench")
    connections.close_all()
    return text


def serving_models() -> str:
    from ml.models import ModelVersion

    return ", ".join(map(str, ModelVersion.objects.filter(state="serving").order_by("slug")))


@contextmanager
def gunicorn(*, workers: int = 1) -> Iterator[Server]:
    """The service, with synchronous workers, on the database and with the settings of `prepare`."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "captcha_site.wsgi", "--workers", str(workers), "--bind"]
    command += [f"127.0.0.1:{port}", "--log-level", "critical", "--no-control-socket"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() - started > 120:
                raise RuntimeError("the server does not become ready")
            time.sleep(0.02)
        yield Server(port, process.pid, time.monotonic() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def free_port() -> int:
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


def form(field: str, *images: bytes) -> bytes:
    """A multipart body with a file for each image."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="captcha.jpeg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    parts = b"\r\n".join(head.encode() + image for image in images)
    return parts + f"\r\n--{BOUNDARY}--\r\n".encode()


def images_of(folder: Path | None, number: int) -> list[bytes]:
    """Up to `number` distinct captchas: the files of a folder, or drawn for the occasion."""
    if folder is not None:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".csv")
        return list(dict.fromkeys(path.read_bytes() for path in files[:number]))
    from ml.recognition.synthesis.generator import draw

    return [_jpeg(draw(seed, "ripples").image) for seed in range(number)]


def _jpeg(image: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)  # type: ignore[attr-defined]
    return stream.getvalue()
