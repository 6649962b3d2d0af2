"""Bodies that are refused unread: the server that is used in earnest lets their senders see the answer."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TWENTY_MEGABYTES = 20_000_000


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where gunicorn listens, with one synchronous worker and a database that is never asked."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    database = tmp_path_factory.mktemp("database") / "db.sqlite3"
    command = [sys.executable, "-m", "gunicorn", "captcha_site.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--no-control-socket", "--log-level", "error"]
    server = subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"DATABASE_URL": f"sqlite:///{database}", "PYTHONWARNINGS": "ignore"},
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            assert server.poll() is None, "gunicorn does not start"
            assert time.monotonic() < deadline, "gunicorn does not listen"
    yield port
    server.terminate()
    server.wait()


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data; boundary=x", "application/json", "text/plain"]
)
@pytest.mark.parametrize("path", ["/upload_captcha", "/api/v1/solves"])
def test_the_answer_arrives(port: int, path: str, content_type: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, b"x" * TWENTY_MEGABYTES, {"Content-Type": content_type})
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert response.status == 401
    assert "No credits were taken." in body["detail"] or "Nothing was charged." in body["detail"]
