"""No read fails while versions are promoted and rolled back: requests, failures, and who answered.

    python bench/roll_back_under_load.py [--images DIR] [--seconds 20] [--clients 4] [--workers 2]
        [--database sqlite|postgresql] [--shadow]

Starts gunicorn on a new SQLite file, then on a PostgreSQL of its own. A second version of the reader of type
A, a copy of the shipped one under another number, is evaluated beside it; then clients post images while the
commands promote and roll_back switch versions in another process, over and over. An image must be read (drawn
ones may be refused as too unsure): anything else is a failure, and one failure makes the status 1. With
--shadow a third version reads all of it along.
"""

import argparse
import http.client
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import BOUNDARY, gunicorn, images_of, new_account, prepared

SLUG = "captcha_type_a"
COPIES = (1001, 1002)


@dataclass
class Tally:
    """What the clients got. Guarded by `lock`."""

    answers: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return sum(self.answers.values()) + self.refused + len(self.failures)


def main() -> None:
    arguments = _parse()
    if arguments.database:
        sys.exit(0 if _measure(arguments) else 1)
    failed = False
    for database in ("sqlite", "postgresql"):  # a process each: Django is set up once a process
        command = [sys.executable, __file__, *sys.argv[1:], "--database", database]
        failed |= subprocess.run(command).returncode != 0
    sys.exit(1 if failed else 0)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="a folder of captchas (default: drawn for the occasion)")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="processes of the server")
    parser.add_argument("--shadow", action="store_true", help="let a third version read all of it along")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="measure on this one only")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ARTIFACTS_ROOT"] = folder
        os.environ["SHADOW_PERCENT"] = "100"
        images = images_of(arguments.images, 200)
        with prepared(arguments.database, None):
            register_copies(Path(folder), images)
            token = new_account(balance=10_000_000)
            if arguments.shadow:
                _manage("shadow", SLUG, str(COPIES[1]))
            with gunicorn(workers=arguments.workers) as server:
                tally, switches = _load(arguments, server.port, token, images)
            _print(arguments, tally, switches)
            return not tally.failures and switches > 0


def register_copies(root: Path, images: list[bytes]) -> None:
    """Two copies of the shipped reader under numbers of their own, the first one evaluated beside it."""
    from django.core.management import call_command
    from django.db import connections

    from ml.models import ModelVersion
    from ml.recognition.artifacts import write_checksums

    shipped = ModelVersion.objects.get(slug=SLUG, state="serving")
    for number in COPIES:
        copy = root / SLUG / str(number)
        shutil.copytree(shipped.path, copy)
        spec = json.loads((copy / "spec.json").read_text())
        (copy / "spec.json").write_text(json.dumps(spec | {"version": number}))
        (copy / "trained_on.txt").write_text("")
        write_checksums(copy)
        call_command("register_model", str(copy), stdout=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(images[:20]):  # any label: both read the same
            (Path(folder) / f"ABCDE__{number}.jpeg").write_bytes(image)
        words = [SLUG, "--version", str(COPIES[0]), "--images", folder]
        call_command("evaluate", *words, stdout=io.StringIO())
    connections.close_all()


def _load(arguments: argparse.Namespace, port: int, token: str, images: list[bytes]) -> tuple[Tally, int]:
    """Clients post for some seconds while the command line switches versions; how often it did."""
    tally, done = Tally(), threading.Event()
    clients = [
        threading.Thread(target=_post, args=(tally, done, port, token, images[number :: arguments.clients]))
        for number in range(arguments.clients)
    ]
    for client in clients:
        client.start()
    switches, end = 0, time.monotonic() + arguments.seconds
    try:
        while time.monotonic() < end:
            _manage("promote", SLUG, str(COPIES[0]))
            time.sleep(1.2)  # long enough for every worker to notice
            _manage("roll_back", SLUG)
            time.sleep(1.2)
            switches += 2
    finally:
        done.set()
        for client in clients:
            client.join()
    return tally, switches


def _post(tally: Tally, done: threading.Event, port: int, token: str, images: list[bytes]) -> None:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    number = 0
    while not done.is_set():
        body = form_of(images[number % len(images)])
        number += 1
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/api/v1/solves", body, headers)
            response = connection.getresponse()
            status, answer = response.status, json.loads(response.read())
            connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            status, answer = 0, {"error": repr(error)}
        with tally.lock:
            if status == 200:
                tally.answers[answer["model_version"]] += 1
            elif status == 422 and answer.get("reason_code") != "no_reader":
                tally.refused += 1  # a drawn captcha may be too unsure; it was read all the same
            else:
                tally.failures.append(f"{status} {str(answer)[:200]}")


def form_of(image: bytes) -> bytes:
    """A multipart body with the image and the type, so that the versions under test are asked."""
    parts = (
        (b'name="captcha_type"\r\n\r\n', SLUG.encode()),
        (b'name="image"; filename="captcha.jpeg"\r\nContent-Type: image/jpeg\r\n\r\n', image),
    )
    opening = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    return b"".join(opening + head + data + b"\r\n" for head, data in parts) + f"--{BOUNDARY}--\r\n".encode()


def _manage(*words: str) -> None:
    """A command of manage.py, in this process: a start of Django each time would leave few switches."""
    from django.core.management import call_command

    call_command(*words, stdout=io.StringIO())


def _print(arguments: argparse.Namespace, tally: Tally, switches: int) -> None:
    print(
        f"{arguments.database}: {tally.requests:,} requests of {arguments.clients} clients to "
        f"{arguments.workers} workers, {switches} promotions and roll-backs\n"
        f"  failures                        {len(tally.failures)}"
    )
    for version, count in sorted(tally.answers.items()):
        print(f"  answered by {version:20}{count:,}")
    print(f"  read, but too unsure            {tally.refused:,}")
    for failure in tally.failures[:5]:
        print(f"  failure: {failure}")
    if arguments.shadow:
        from ml.models import ModelVersion
        from ml.selectors import shadow_score

        candidate = ModelVersion.objects.get(slug=SLUG, version=COPIES[1])
        print(f"  {candidate} in shadow: {shadow_score(candidate)}")


if __name__ == "__main__":
    main()
