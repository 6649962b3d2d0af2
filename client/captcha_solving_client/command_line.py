"""``captcha-solve IMAGE…``: answers on standard output, what went wrong on standard error."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import httpx

from .calls import MAX_BATCH, Hints
from .clients import Client
from .shapes import ApiError, BatchItem


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every image was solved, 1 when one was not, 2 when nothing could be asked."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.url or not options.api_key:
        parser.error("name the service and a key: --url and --api-key, or CAPTCHA_URL and CAPTCHA_API_KEY")
    try:
        images = [file.read_bytes() for file in options.images]
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    failed = False
    try:
        with Client(options.url, api_key=options.api_key) as client:
            for start in range(0, len(images), MAX_BATCH):
                batch = client.solve_batch(images[start : start + MAX_BATCH], **_hints(options))
                for file, item in zip(options.images[start:], batch.solves, strict=False):
                    failed |= not _tell(file, item, options)
    except ApiError as error:
        sys.stderr.write(f"captcha-solve: {error}\n")
        return 2
    except (httpx.TransportError, httpx.InvalidURL) as error:
        why = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        sys.stderr.write(f"captcha-solve: {options.url}: {why}\n")
        return 2
    return int(failed)


def _tell(file: Path, item: BatchItem, options: argparse.Namespace) -> bool:
    """Write one outcome; whether the image was solved."""
    if options.json:
        sys.stdout.write(json.dumps({"file": str(file), **asdict(item)}) + "\n")
    elif item.outcome == "solved" and item.solve is not None:
        prefix = f"{file}\t" if len(options.images) > 1 else ""
        sys.stdout.write(f"{prefix}{item.solve.answer}\n")
    elif item.error is not None:
        sys.stderr.write(f"{file}: {item.error.detail}\n")
    return item.outcome == "solved"


def _hints(options: argparse.Namespace) -> Hints:
    given = {name: getattr(options, name) for name in Hints.__annotations__}
    return Hints(**{name: value for name, value in given.items() if value not in (None, False)})  # type: ignore[typeddict-item]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="captcha-solve", description="Read captchas you own or may test.")
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--url", default=os.environ.get("CAPTCHA_URL"), help="the service (CAPTCHA_URL)")
    parser.add_argument("--api-key", default=os.environ.get("CAPTCHA_API_KEY"), help="or CAPTCHA_API_KEY")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each image")
    hints = parser.add_argument_group("what is known of the images; answers never violate it")
    hints.add_argument("--captcha-type", metavar="SLUG")
    hints.add_argument("--numeric", choices=["digits", "letters", "alphanumeric", "both"])
    hints.add_argument("--min-length", type=int, metavar="N")
    hints.add_argument("--max-length", type=int, metavar="N")
    hints.add_argument("--case", choices=["upper", "lower"])
    hints.add_argument("--alphabet", metavar="CHARACTERS")
    hints.add_argument("--math", action="store_true", help="they show sums")
    hints.add_argument("--min-confidence", type=float, metavar="P", help="from 0 to 1")
    return parser


if __name__ == "__main__":
    sys.exit(main())
