"""All measurements of the running service, one after the other: speed over HTTP, and what holds under fire.

    .venv-dev/bin/python -m bench.load [--quick] [--only NAME …] [--images DIR] [--list]

Each is a command of its own, printed with its goal before it runs and with its seconds and exit status after;
seeds are the commands' own. --quick takes sizes that end within minutes together, to see that all of it
works; without it this takes hours. The status is the number of measurements that did not hold.
"""

import argparse
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.http_server import ROOT


@dataclass(frozen=True)
class Measurement:
    """A script of this folder, its arguments at full size and in short, and what is wanted of it."""

    script: str
    goal: str
    full: str
    quick: str
    reads_images: bool = False

    def command(self, *, quick: bool, images: Path | None) -> list[str]:
        words = shlex.split(self.quick if quick else self.full)
        if self.reads_images and images is not None:
            words += ["--images", str(images)]
        return [sys.executable, "-m", f"bench.{self.script}", *words]


KILLS = "--solves 10000 --balance 1000 --clients 16 --kills 100"
FEW_KILLS = "--solves 200 --balance 20 --kills 4"
MEASUREMENTS = (
    Measurement(
        script="http_solves",
        goal="300 solves and 600 images of a batch a CPU-second; ready in 3 s, 200 MiB",
        full="--database postgresql --rounds 5 --requests 400",
        quick="--database postgresql --rounds 1 --requests 128",
        reads_images=True,
    ),
    Measurement(
        script="history",
        goal="a history of 10 million solves, kept in the folder for the next",
        full="fill var/history --rows 10000000",
        quick="fill var/history-quick --rows 20000",
    ),
    Measurement(
        script="history",
        goal="cost of a solve and of the admin's lists flat (10 %, p95 of 300 ms), whatever was stored",
        full="measure var/history",
        quick="measure var/history-quick",
    ),
    Measurement(
        script="http_kills",
        goal="exactly as many charges as credits, every charged text delivered",
        full=f"{KILLS} --restarts 20",
        quick=f"{FEW_KILLS} --restarts 1",
    ),
    Measurement(
        script="http_kills",
        goal="the same on SQLite",
        full=f"{KILLS} --database sqlite",
        quick=f"{FEW_KILLS} --database sqlite",
    ),
    Measurement(
        script="retries",
        goal="one charge and one answer a key, another body refused",
        full="--keys 1000 --retries 10",
        quick="--keys 20 --retries 5",
    ),
    Measurement(
        script="hostile_uploads",
        goal="no crash, no 5xx, each within 0.5 s, growth of at most 50 MiB",
        full="--uploads 100000 --clients 4",
        quick="--uploads 1000",
    ),
    Measurement(
        script="fuzz", goal="0 of 5xx, 0 not as described", full="--cases 10000", quick="--cases 200"
    ),
    Measurement(
        script="login_guesses",
        goal="at most 100 guesses evaluated an hour, the owner gets in",
        full="--guesses 10000 --addresses 100",
        quick="--guesses 500",
    ),
    Measurement(
        script="job_kills",
        goal="no job lost, none with a double effect",
        full="--jobs 1000 --kills 100",
        quick="--jobs 10 --kills 3",
    ),
    Measurement(
        script="faults",
        goal="answers final or 503 with Retry-After, recovery by itself",
        full="--seconds 10",
        quick="--seconds 2",
    ),
    Measurement(
        script="replicas",
        goal="shared limits, promotions within 2 s, no failed request in an upgrade",
        full="",
        quick="",
    ),
    Measurement(
        script="hot_account",
        goal="charges a second on one account and on 1,000",
        full="",
        quick="--seconds 2",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted({one.script for one in MEASUREMENTS})
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--images", type=Path, help="captchas for what reads them (default: drawn)")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    options = parser.parse_args()
    failed = 0
    for measurement in MEASUREMENTS:
        if measurement.script not in options.only:
            continue
        command = measurement.command(quick=options.quick, images=options.images)
        print(f"\n{measurement.goal}\n$ python {shlex.join(command[1:])}", flush=True)
        if options.list:
            continue
        began = time.monotonic()
        status = subprocess.run(command, cwd=ROOT).returncode
        print(f"{measurement.script}: status {status}, {time.monotonic() - began:.0f} s", flush=True)
        failed += status != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
