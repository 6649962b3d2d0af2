"""Schema fuzzing: requests generated from the OpenAPI document and for the dialects, and no 5xx.

    python bench/fuzz.py [--cases 10000]

On a new SQLite file, with the shipped models, in this process; as somebody signed in, with an API key and as
nobody in turn. It ends with 1 at the first answer that is a 5xx or whose status, media type or shape is not
described; every run asks other things.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.http_server import new_account, new_api_key, prepared

DIALECTS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    arguments = parser.parse_args()
    with prepared("sqlite", None):
        from django.conf import settings
        from django.test.utils import setup_test_environment

        setup_test_environment()
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "localhost"]  # what the generated requests name
        settings.ROOT_URLCONF = "captcha_site.urls"
        pages = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # nothing was collected
        settings.STORAGES = {**settings.STORAGES, "staticfiles": pages}
        token, key = new_account(balance=10_000_000), new_api_key()
        return _ask(arguments.cases, token, key)


def _ask(cases: int, token: str, key: str) -> int:
    from rest_framework.settings import api_settings

    from captcha_site.tests import fuzzing

    rates: Any = api_settings.DEFAULT_THROTTLE_RATES
    rates.update(dict.fromkeys(rates, "100000000/min"))
    paths = fuzzing.document()["paths"]
    operations = sum(len(methods) for path, methods in paths.items() if path not in fuzzing.LEFT_OUT)
    of_each = -(-cases // (3 * operations + DIALECTS))
    started, asked = time.monotonic(), 0
    callers: tuple[dict[str, str], ...] = (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Api-Key {key}"},
        {},
    )
    for headers in callers:
        asked += fuzzing.ask_described(headers=headers, cases=of_each, seed=1)
        print(f"{asked:,} requests, no 5xx, nothing that is not described", flush=True)
    in_dialects = fuzzing.ask_dialects(key=key, cases=max(of_each, (cases - asked) // DIALECTS), seed=1)
    print(f"{in_dialects:,} cases in the dialects, each answered in its words")
    print(f"{asked + in_dialects:,} cases of {operations} operations and {DIALECTS} dialects", end=", ")
    print(f"0 of 5xx, 0 not described, in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
