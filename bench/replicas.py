"""Several servers behind a real proxy act as one: shared limits, shared lock-outs, promotions that reach all.

    python bench/replicas.py [--servers 4] [--reads 150]

Starts as many gunicorns with one worker each, the proxy of deploy/caddy before them, and a PostgreSQL and a
Valkey or Redis of its own. Then: requests over a limit of 100 a day, of which exactly 100 are let in; wrong
passwords, after which the name is closed whichever server is asked; a version that is promoted, and the time
until each server answers by it; figures of a server whose worker was killed; servers that are replaced, one
after the other, while clients solve. The status is 1 when one of these does not hold.
"""

import argparse
import contextlib
import http.client
import io
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import BOUNDARY, ROOT, Server, free_port, gunicorn, images_of, new_account, prepared
from bench.roll_back_under_load import COPIES, SLUG, form_of, register_copies

LIMIT = 100
GUESSES = 5
BACK_SECONDS = 6
"""After which the proxy has seen that a server is back, by deploy/caddy/Caddyfile."""
METRICS_TOKEN = "bench"  # noqa: S105 (a server of this run alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--reads", type=int, default=150, help="requests against a limit of 100")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ.update(
            ARTIFACTS_ROOT=str(folder / "artifacts"),
            CACHE_URL=stack.enter_context(valkey(folder)),
            THROTTLE_USER=f"{LIMIT}/day",
            THROTTLE_TOKEN="1000/second",  # noqa: S106 (a rate)
            AXES_FAILURE_LIMIT=str(GUESSES),
            TRUSTED_PROXIES="127.0.0.1",
            METRICS_TOKEN=METRICS_TOKEN,
        )
        images = images_of(None, 20)
        stack.enter_context(prepared("postgresql", None))
        register_copies(folder / "artifacts", images)
        token = new_account(balance=1_000_000)
        servers = [stack.enter_context(gunicorn()) for _ in range(arguments.servers)]
        proxy = stack.enter_context(caddy([server.port for server in servers], folder))
        held = [
            limits_are_shared(proxy, token, arguments.reads),
            lock_outs_are_shared(proxy, [server.port for server in servers]),
            promotion_reaches_all(servers, token, images[0]),
            figures_outlive_workers(servers[0], token, images[0]),
            upgrades_fail_nobody(folder, token, images),
        ]
    sys.exit(0 if all(held) else 1)


@contextmanager
def valkey(folder: Path, port: int = 0) -> Iterator[str]:
    """The CACHE_URL of a server of this run alone, at that port or at a free one."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise SystemExit("Neither valkey-server nor redis-server is installed: apt-get install redis-server")
    port = port or free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def caddy(ports: list[int], folder: Path) -> Iterator[int]:
    """The port of the proxy that docker-compose.yml has too, without TLS."""
    program = shutil.which("caddy")
    if program is None:
        raise SystemExit("Caddy is not installed: apt-get install caddy")
    port = free_port()
    environment = os.environ | {
        "SITE_ADDRESS": f"http://127.0.0.1:{port}",
        "UPSTREAMS": " ".join(["to", *(f"127.0.0.1:{one}" for one in ports)]),
        "CADDY_HEALTH_PORT": str(free_port()),
        "CADDY_OPTIONS": "auto_https off",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    config = str(ROOT / "deploy" / "caddy" / "Caddyfile")
    log = (folder / "caddy.log").open("wb")
    process = subprocess.Popen([program, "run", "--config", config], env=environment, stdout=log, stderr=log)
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()
        log.close()


def _wait_for(port: int) -> None:
    """Until something answers HTTP or anything else at the port."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at {port}")


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def limits_are_shared(proxy: int, token: str, reads: int) -> bool:
    statuses = Counter(
        ask(proxy, "GET", "/api/v1/captcha-types", Authorization=f"Bearer {token}")[0] for _ in range(reads)
    )
    holds = statuses == Counter({200: LIMIT, 429: reads - LIMIT})
    print(f"{_yes(holds)} a limit of {LIMIT} holds for all servers together: {dict(statuses)} of {reads}")
    return holds


def lock_outs_are_shared(proxy: int, ports: list[int]) -> bool:
    body = json.dumps({"username": "bench", "password": "a guess"})

    def guess(port: int) -> int:
        return ask(port, "POST", "/get_token", body, Content_Type="application/json")[0]

    tried = [guess(proxy) for _ in range(GUESSES)]
    after = [
        ask(port, "POST", "/get_token", body, Content_Type="application/json", X_Forwarded_For="127.0.0.1")[0]
        for port in ports
    ]
    holds = set(after) == {429}
    print(f"{_yes(holds)} a name is closed on every server: {tried}, then of each server {after}")
    return holds


def promotion_reaches_all(servers: list[Server], token: str, image: bytes) -> bool:
    """Ask each server, over and over, who reads; print how long the slowest one took to change over."""
    from django.core.management import call_command

    headers = {
        "Authorization": f"Bearer {token}",
        "Content_Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    body = form_of(image)

    def read_by(port: int) -> str:
        status, answer = ask(port, "POST", "/api/v1/solves", body, **headers)
        if status not in (200, 422):
            raise RuntimeError(f"{status}: {answer[:200]!r}")
        told = json.loads(answer)
        return str(told["model_version"]) if status == 200 else "refused"

    before = {read_by(server.port) for server in servers}
    call_command("promote", SLUG, str(COPIES[0]), stdout=io.StringIO())
    promoted = time.monotonic()
    wanted = f"{SLUG}/{COPIES[0]}"
    seconds: dict[int, float] = {}
    while len(seconds) < len(servers) and time.monotonic() - promoted < 30:
        for server in servers:
            if server.port not in seconds and read_by(server.port) == wanted:
                seconds[server.port] = time.monotonic() - promoted
    holds = before != {wanted} and len(seconds) == len(servers)
    slowest = max(seconds.values(), default=float("inf"))
    print(f"{_yes(holds)} a promotion reaches {len(seconds)} of {len(servers)} servers, in {slowest:.2f} s")
    return holds


def figures_outlive_workers(server: Server, token: str, image: bytes) -> bool:
    """What a worker counted stays in the sums after it was killed."""
    before = _counted(server.port)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    while server.workers() in ([], [worker]) or _counted(server.port) is None:
        time.sleep(0.1)
    after = _counted(server.port)
    holds = before is not None and after is not None and after >= before > 0
    print(f"{_yes(holds)} figures outlive a killed worker: {before} solves counted before, {after} after")
    return holds


def upgrades_fail_nobody(folder: Path, token: str, images: list[bytes]) -> bool:
    """Two servers are replaced, one after the other, while four clients solve without a key to repeat by."""
    ports = [free_port(), free_port()]
    servers = {port: _served(port) for port in ports}
    answered: Counter[str] = Counter()
    ended = threading.Event()

    def client(number: int) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content_Type": f"multipart/form-data; boundary={BOUNDARY}",
        }
        for turn in itertools.count(number):
            if ended.is_set():
                return
            try:
                body = form_of(images[turn % len(images)])
                answered[str(ask(proxy, "POST", "/api/v1/solves", body, **headers)[0])] += 1
            except (OSError, http.client.HTTPException) as error:
                answered[type(error).__name__] += 1

    try:
        with caddy(ports, folder) as proxy:
            clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
            for thread in clients:
                thread.start()
            for port in ports:
                servers[port].terminate()
                servers[port].wait()
                servers[port] = _served(port)
                time.sleep(BACK_SECONDS)
            ended.set()
            for thread in clients:
                thread.join()
    finally:
        for server in servers.values():
            server.terminate()
            server.wait()
    holds = set(answered) <= {"200", "422"} and answered["200"] > 0
    print(f"{_yes(holds)} two servers replaced under load: {dict(answered)}")
    return holds


def _served(port: int) -> subprocess.Popen[bytes]:
    """A server as the image starts it, ready."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BIND": f"127.0.0.1:{port}",
        "WEB_CONCURRENCY": "2",
    }
    server = subprocess.Popen(["bin/serve", "--log-level", "critical"], cwd=ROOT, env=environment)
    _wait_for(port)
    while True:
        with contextlib.suppress(OSError):
            if ask(port, "GET", "/readyz")[0] == 200:
                return server
        time.sleep(0.1)


def _counted(port: int) -> float | None:
    """Solves that the server has counted; None while it does not answer."""
    try:
        status, body = ask(port, "GET", "/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    except OSError:
        return None
    if status != 200:
        return None
    lines = body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("captcha_solves_total{"))


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO "


if __name__ == "__main__":
    main()
