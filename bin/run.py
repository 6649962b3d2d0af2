"""`make run`: prepare the database, start the server, solve a shipped sample over HTTP, serve until Ctrl-C.

It needs the standard library alone; what it starts runs in the same virtual environment.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = Path("static/samples/captcha_type_a.png")
HOST = "127.0.0.1"  # never the network: the demo users' passwords are known to everybody
SECONDS_TO_START = 60


def main() -> int:
    arguments = parse_arguments()
    os.chdir(ROOT)
    os.environ["DEBUG"] = "1"
    keep_debug(Path(os.environ.get("ENV_FILE") or ROOT / ".env"))
    signal.signal(signal.SIGTERM, _as_interrupt)
    if problem := why_not_free(arguments.port):
        print(problem, file=sys.stderr)
        return 1
    for command in (["migrate", "--verbosity=0"], ["install_models"], ["demo"]):
        subprocess.run([sys.executable, "manage.py", *command], check=True)
    return serve(arguments.port)


def keep_debug(file: Path) -> None:
    """So that `manage.py` works beside the demo. A file that is there is somebody's, and stays as it is."""
    try:
        with file.open("x") as stream:
            stream.write(
                "# Made by `make run`, to try on this machine. In production: SECRET_KEY instead.\nDEBUG=1\n"
            )
    except FileExistsError:
        lines = file.read_text().splitlines()
        if not any(line.startswith(("DEBUG=", "SECRET_KEY=")) for line in lines) and file.is_file():
            print(f"{file} stays as it is; for manage.py beside this demo, add the line DEBUG=1.", flush=True)
        return
    print(f"Wrote DEBUG=1 into {file}, so that .venv/bin/python manage.py works here too.", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    return parser.parse_args()


def why_not_free(port: int) -> str | None:
    """A line for the user when nothing can listen at the port, else None."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as the server will: a past one may linger
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            return (
                f"Cannot listen on {HOST}:{port} ({error}). Choose another: make run PORT={port % 60000 + 1}"
            )
    return None


def serve(port: int) -> int:
    """Run gunicorn, so that what is tried here is what is deployed; WhiteNoise adds the static files."""
    url = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--log-level", "warning"]
    print(f"Starting the server at {url}/ …", flush=True)
    server = subprocess.Popen(command)
    try:
        wait_until_ready(url, server)
        print(welcome(url, answer_of(url)), flush=True)
        return server.wait()
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except (TimeoutError, ChildProcessError, urllib.error.URLError) as error:
        print(f"The server started, but does not work: {error}", file=sys.stderr)
        return 1
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait()


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return once /readyz answers 200. Raises ChildProcessError when the server ends, else TimeoutError."""
    reason = "no answer"
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        if server.poll() is not None:
            raise ChildProcessError(f"it ended with exit status {server.returncode}")
        try:
            request(f"{url}/readyz")
            return
        except urllib.error.HTTPError as error:
            reason = error.read().decode(errors="replace")
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.1)
    raise TimeoutError(f"not ready after {SECONDS_TO_START} s: {reason}")


def answer_of(url: str) -> str:
    """A line with what the service answers for the sample. A refusal is shown, and the server goes on."""
    try:
        return f"It was just asked over HTTP, and answered: {json.dumps(solve(url))}"
    except urllib.error.HTTPError as error:
        reason = error.read().decode(errors="replace")
        return f"It was just asked over HTTP, and REFUSED with status {error.code}: {reason}"


def solve(url: str) -> str:
    """The text that the service reads in the sample, asked for just as the printed curl does."""
    log_in = multipart({"username": b"test", "password": b"test"})
    token = request(f"{url}/get_token", *log_in)["access_token"]
    body, headers = multipart({"captcha_image": SAMPLE.read_bytes()}, file_name=SAMPLE.name)
    return str(request(f"{url}/upload_captcha", body, headers | {"Authorization": f"Bearer {token}"}))


def multipart(fields: dict[str, bytes], file_name: str | None = None) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a form; its fields are files when ``file_name`` is given."""
    boundary = "----captcha-solving-service-first-solve"
    attribute = f'; filename="{file_name}"' if file_name else ""
    body = b""
    for name, value in fields.items():
        header = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{attribute}\r\n\r\n'
        body += header.encode() + value + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def request(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    """The JSON answer; POST when there is a body. Raises urllib.error.HTTPError."""
    asked = urllib.request.Request(url, body, headers or {})  # noqa: S310 (the address is our own server's)
    # No proxy of the environment stands between this machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(asked, timeout=30) as answer:
        return json.load(answer)


def welcome(url: str, answer: str) -> str:
    token = (
        f"""$(curl -sS {url}/get_token -F username=test -F password=test """
        r"""| sed 's/.*"access_token": *"\([^"]*\)".*/\1/')"""
    )
    return f"""
Captcha Solving Service is ready at {url}/
  admin  {url}/admin/     admin / admin
  API    {url}/api/docs/  test / test, 1,000 credits
  help   {url}/info

Solve the sample {SAMPLE} (one credit):

  curl -sS {url}/upload_captcha -F captcha_image=@{SAMPLE} \\
       -H "Authorization: Bearer {token}"

{answer}

Ctrl-C stops the server."""


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # the command has said why
    except KeyboardInterrupt:
        sys.exit(130)
