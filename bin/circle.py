"""`make circle`: the whole circle on this machine, from a site's captchas to its forms filled in by readers.

For each of three styles of the practice site, two of them drawn by libraries that real sites use: crawl
images, take the site's own word for their texts, freeze them, train, promote, and send the site's forms with
what the service reads over its API. It has a database and folders of its own, below var/circle, which begin
empty each time.

    python bin/circle.py [--images N] [--forms 100] [--steps 600]
"""

import argparse
import http.client
import http.cookiejar
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bin.run import multipart, request, wait_until_ready

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "circle"
SOURCES = ROOT / "crawl" / "practice" / "sources.yaml"
USUAL_ADDRESS = "http://127.0.0.1:8100"
GOAL = 0.95


@dataclass
class Style:
    """One source of the practice file, and where its form is."""

    source: str
    type: str
    page: str
    images: int
    """As many as its reader needs to learn from."""
    seconds: dict[str, float] = field(default_factory=dict)
    accepted: int = 0
    sent: int = 0


STYLES = (
    Style("practice_consent", "practice_math", "/consent/math/", 300),
    Style("practice_constant", "practice_captcha", "/constant/captcha/", 500),
    Style("practice_refresh", "practice_ripples", "/refresh/ripples/", 300),
)


def main() -> int:
    arguments = parse_arguments()
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as stack:
        site = start_practice_site(stack)
        prepare(site)
        for style in STYLES:
            learn(style, arguments)
        service = start_service(stack)
        for style in STYLES:
            began_solving = time.monotonic()
            solve_forms(style, site, service, arguments.forms)
            style.seconds["solve"] = time.monotonic() - began_solving
    tell(time.monotonic() - began)
    return 0 if all(style.accepted >= GOAL * style.sent for style in STYLES) else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, help="crawled for each style; default: as many as it needs")
    parser.add_argument("--forms", type=int, default=100, help="sent for each style")
    parser.add_argument("--steps", type=int, default=600, help="of training for each style")
    return parser.parse_args()


def start_practice_site(stack: ExitStack) -> str:
    """Its address; a new seed for each circle, as nobody knows a site's captchas beforehand."""
    command = [sys.executable, "-m", "crawl.practice", "--port", "0", "--seed", str(time.time_ns())]
    site = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    stack.callback(stop, site)
    url = site.stdout.readline().strip() if site.stdout else ""
    if not url:
        raise ChildProcessError("the practice site did not start")
    return url


def prepare(site: str) -> None:
    sources = FOLDER / "sources.yaml"
    sources.write_text(SOURCES.read_text().replace(USUAL_ADDRESS, site))
    os.environ.update(
        DEBUG="1",
        ENV_FILE=os.devnull,
        DATABASE_URL=f"sqlite:///{FOLDER / 'db.sqlite3'}",
        ARTIFACTS_ROOT=str(FOLDER / "artifacts"),
        SAMPLES_ROOT=str(FOLDER / "samples"),
        DATASETS_ROOT=str(FOLDER / "datasets"),
        CRAWL_ALLOWED_HOSTS=site.partition("//")[2],
    )
    manage("migrate", "--verbosity=0")
    for command in (["install_models"], ["demo"], ["import_sources", str(sources)]):
        manage(*command)


def learn(style: Style, arguments: argparse.Namespace) -> None:
    """From the site to a reader that serves, with the seconds of each step."""
    print(f"\n{style.source}: crawl", flush=True)
    timed(style, "crawl", "crawl", style.source, "--count", str(arguments.images or style.images))
    folder = timed(style, "label", "freeze_dataset", style.type).splitlines()[-1]
    print(f"{style.source}: train", flush=True)
    # The test images were set aside when the data set was frozen: the others are all for learning.
    words = ["--images", folder, "--steps", str(arguments.steps), "--held-out", "0"]
    timed(style, "train", "train", style.type, *words)
    timed(style, "promote", "evaluate", style.type, "--version", "1", "--images", f"{folder}/test")
    # No type model knows the type: whoever sends the forms says which type they are of.
    timed(style, "promote", "promote", style.type, "1", "--reason", "the caller names the type")


def timed(style: Style, step: str, *command: str) -> str:
    began = time.monotonic()
    output = manage(*command)
    style.seconds[step] = style.seconds.get(step, 0.0) + time.monotonic() - began
    return output


def manage(*command: str) -> str:
    """What the command printed. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    print("  " + done.stdout.strip().replace("\n", "\n  "), flush=True)
    return done.stdout.strip()


def start_service(stack: ExitStack) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT)
    stack.callback(stop, server)
    wait_until_ready(f"http://127.0.0.1:{port}", server)
    return f"http://127.0.0.1:{port}"


def stop(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def solve_forms(style: Style, site: str, service: str, forms: int) -> None:
    log_in = multipart({"username": b"test", "password": b"test"})
    token = request(f"{service}/get_token", *log_in)["access_token"]
    for _ in range(forms):
        visitor = Visitor(site, style.page)
        image = visitor.image()
        body, headers = multipart({"image": image}, file_name="captcha.png")
        hint = f"--{headers['Content-Type'].rpartition('=')[2]}\r\n".encode()
        hint += f'Content-Disposition: form-data; name="captcha_type"\r\n\r\n{style.type}\r\n'.encode()
        headers["Authorization"] = f"Bearer {token}"
        style.sent += 1
        try:
            answer = request(f"{service}/api/v1/solves", hint + body, headers)["answer"]
        except urllib.error.HTTPError as error:
            if error.code != 422:
                raise
            answer = ""  # refused, being unsure: the form is sent empty and counts as lost
        style.accepted += visitor.send(answer)


class Visitor:
    """One session of somebody who fills the form in."""

    def __init__(self, site: str, page: str) -> None:
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
        self._url = site + page
        self._page = self._get(self._url).decode()
        if 'name="__VIEWSTATE"' in self._page:
            agreed = self._fields() | {"ctl00$agree": "I agree"}
            self._page = self._get(self._url, agreed).decode()

    def image(self) -> bytes:
        source = re.search(r'<img id="captcha" src="([^"]+)"', self._page)
        if source is None:
            raise ValueError(f"{self._url} shows no captcha")
        return self._get(urllib.parse.urljoin(self._url, source[1].replace("&amp;", "&")))

    def send(self, answer: str) -> bool:
        """Whether the site accepted it."""
        try:
            outcome = self._get(f"{self._url}check", self._fields() | {"answer": answer})
        except urllib.error.HTTPError as error:
            outcome = error.read()
        return b'<p id="outcome">Accepted' in outcome

    def _fields(self) -> dict[str, str]:
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self._page))

    def _get(self, url: str, form: dict[str, str] | None = None) -> bytes:
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        with self._opener.open(url, body, timeout=30) as answer:
            return bytes(answer.read())


def tell(seconds: float) -> None:
    steps = ("crawl", "label", "train", "promote", "solve")
    print(f"\n{'style':20}{'forms accepted':>20}" + "".join(f"{step:>10}" for step in steps))
    for style in STYLES:
        share = f"{style.accepted} of {style.sent} ({style.accepted / style.sent:.0%})"
        print(f"{style.type:20}{share:>20}" + "".join(f"{style.seconds[step]:8.1f} s" for step in steps))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = used.ru_utime + used.ru_stime
    print(f"all in all {seconds:.0f} s ({seconds / 60:.1f} minutes), {processor:.0f} CPU-seconds")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (
        subprocess.CalledProcessError,
        ChildProcessError,
        TimeoutError,
        http.client.HTTPException,
    ) as error:
        print(f"The circle broke: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
