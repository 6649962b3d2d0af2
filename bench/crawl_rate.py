"""How often a crawl asks a host, by the host's own log, beside what the source allows.

    python bench/crawl_rate.py [--delays 0.5 1.0] [--images 12]

For each delay a practice site and a database of its own are started, and a crawl of them with the settings of
every crawl. Printed: the configured rate, requests a second by the site's log (first to last), their ratio,
and the shortest gap between two requests. It ends with 1 where a rate is over 10 % above the configured one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = """
sources:
  rate:
    type: {{slug: rate, alphabet: "0123456789+-=?"}}
    start_url: {url}/constant/sums/captcha.png
    start: image
    session: kept
    delay: {delay}
    authorised_by: this benchmark
    authorisation: a site of this project
    authorised_until: 2100-01-01
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delays", type=float, nargs="+", default=[0.5, 1.0], help="seconds")
    parser.add_argument("--images", type=int, default=12)
    arguments = parser.parse_args()
    print(f"{'configured':>12} {'measured':>12} {'ratio':>7} {'shortest gap':>13} {'requests':>9}")
    ratios = [measure(delay, arguments.images) for delay in arguments.delays]
    return 0 if max(ratios) <= 1.1 else 1


def measure(delay: float, images: int) -> float:
    command = [sys.executable, "-m", "crawl.practice", "--port", "0"]
    site = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        url = site.stdout.readline().strip() if site.stdout else ""
        with tempfile.TemporaryDirectory() as folder:
            crawl(url, delay, images, Path(folder))
        with urllib.request.urlopen(f"{url}/log.json", timeout=30) as answer:  # noqa: S310 - our own site
            log = json.load(answer)["requests"][:-1]  # without this one
    finally:
        site.terminate()
        site.wait()
    times = [request["time"] for request in log]
    rate = (len(times) - 1) / (times[-1] - times[0])
    shortest = min(later - earlier for earlier, later in pairwise(times))
    print(f"{1 / delay:10.2f}/s {rate:10.2f}/s {rate * delay:7.3f} {shortest:11.3f} s {len(times):9}")
    return rate * delay


def crawl(url: str, delay: float, images: int, folder: Path) -> None:
    (folder / "source.yaml").write_text(SOURCE.format(url=url, delay=delay))
    environ = os.environ | {
        "DEBUG": "1",
        "ENV_FILE": os.devnull,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "SAMPLES_ROOT": str(folder / "samples"),
        "CRAWL_ALLOWED_HOSTS": url.partition("//")[2],
    }
    commands = (
        ["migrate", "--verbosity=0"],
        ["import_sources", str(folder / "source.yaml")],
        ["crawl", "rate", "--count", str(images)],
    )
    for command in commands:
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.DEVNULL,
            check=True,
        )


if __name__ == "__main__":
    sys.exit(main())
