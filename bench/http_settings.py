"""The service's own settings, and one more address: an endpoint that does nothing."""

import os
from pathlib import Path

from captcha_site.settings import *  # noqa: F403

if "BENCH_ARTIFACTS" in os.environ:
    SHIPPED_ARTIFACTS = Path(os.environ["BENCH_ARTIFACTS"])

ROOT_URLCONF = "bench.http_urls"
