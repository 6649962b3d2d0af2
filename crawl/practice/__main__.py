"""`python -m crawl.practice`: serve the practice site until it is stopped; the first line is its address."""

import argparse
import contextlib
import sys
from pathlib import Path

from crawl.practice.server import PracticeServer
from crawl.practice.site import ROBOTS, PracticeSite


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crawl.practice", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100, help="0: any that is free")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed: the same captchas in the same order"
    )
    parser.add_argument("--robots", choices=sorted(ROBOTS), default="usual")
    parser.add_argument(
        "--certificate", type=Path, metavar="PEM", help="serve HTTPS with this certificate and key"
    )
    arguments = parser.parse_args()
    site = PracticeSite(arguments.seed, arguments.robots)
    try:
        server = PracticeServer((arguments.host, arguments.port), site, arguments.certificate)
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {arguments.host}:{arguments.port} ({error}).\n")
        return 1
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
