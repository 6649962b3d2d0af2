"""What a site may answer in place of an image: each is named and counted, and what came stays."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from crawl.models import CrawlRun
from crawl.tests.conftest import ROOT, Crawler, MakeSource, PracticeProcess
from labeling.models import Sample

pytestmark = pytest.mark.django_db(transaction=True)

IMAGE = {"start": "image", "session": "kept"}


def test_it_goes_on_over_failures_and_says_which_and_how_often(
    make_source: MakeSource, crawl: Crawler
) -> None:
    """The parade shows eleven answers in turn: one image and ten that are none; then the image again."""
    crawled = crawl(make_source("/hostile/parade", **IMAGE, give_up_after=1000), "--count", "2")
    assert crawled.code == 0, crawled.output
    assert crawled.run.kept == 2
    assert crawled.run.drops == {
        "HTML in place of an image": 2,
        "HTTP 404": 2,
        "a damaged image": 1,
        "an empty image": 1,
        "an image too small for a captcha": 1,
        "too large": 2,  # one as it came, one when it was unpacked
        "too many redirects": 1,
    }
    assert "dropped 2: HTML in place of an image" in crawled.output
    assert Sample.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "dropped", "reason"),
    [
        (
            {"start_url": "/hostile/nothing", "image": "img#captcha"},
            {"no image found by the selector": 2},
            "2 fail",
        ),
        ({"start_url": "/hostile/down", **IMAGE, "give_up_after": 1}, {"HTTP 503": 1}, "1 failures in a row"),
        (
            {"start_url": "/hostile/drip", **IMAGE, "give_up_after": 1, "timeout": 1},
            {"took too long": 1},
            "the last: took too long",
        ),
        (
            {"start_url": "/hostile/closed-for-hours", **IMAGE},
            {"HTTP 429, asks to wait longer than 300 s": 1},
            "HTTP 429, asks to wait longer",
        ),
        (
            {"start_url": "/forbidden/sums/captcha.png", **IMAGE},
            {"robots.txt forbids it": 1},
            "robots.txt forbids it",
        ),
        (
            {"start_url": "/hostile/to?url=http://169.254.169.254/latest/meta-data/", **IMAGE},
            {"leads to 169.254.169.254, which the source does not name": 1},
            "leads to 169.254.169.254",
        ),
        (
            {"start_url": "/hostile/to?url=http://10.1.2.3/", **IMAGE, "hosts": ["10.1.2.3"]},
            {"10.1.2.3 is at no public address": 1},
            "10.1.2.3 is at no public address",
        ),
    ],
)
def test_it_ends_short_and_says_why(
    fields: dict[str, Any], dropped: dict[str, int], reason: str, make_source: MakeSource, crawl: Crawler
) -> None:
    crawled = crawl(make_source(**{"give_up_after": 2, **fields}), "--count", "3")
    assert crawled.code == 1
    assert crawled.run.state == CrawlRun.State.SHORT
    assert crawled.run.drops == dropped
    assert reason in crawled.run.reason
    assert "nobody foresaw" not in crawled.output


def test_it_waits_as_long_as_it_is_asked_to(make_source: MakeSource, crawl: Crawler) -> None:
    crawled = crawl(make_source("/hostile/busy", **IMAGE), "--count", "1")
    assert crawled.code == 0, crawled.output
    assert crawled.run.drops == {}
    assert crawled.run.seconds > 2  # what Retry-After said


def test_duplicates_are_counted_and_end_it_when_nothing_else_comes(
    make_source: MakeSource, crawl: Crawler
) -> None:
    source = make_source("/hostile/same", **IMAGE, give_up_after_duplicates=4)
    crawled = crawl(source, "--count", "3")
    assert crawled.code == 1
    assert (crawled.run.kept, crawled.run.duplicates) == (1, 4)
    assert crawled.run.reason == "4 duplicates in a row"
    assert Sample.objects.get().duplicates == 4


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        ("closed", "robots.txt forbids it"),
        ("failing", "robots.txt cannot be read (HTTP 503), so it allows nothing"),
    ],
)
def test_robots_txt_is_obeyed(
    robots: str,
    reason: str,
    start_practice: Callable[..., PracticeProcess],
    make_source: MakeSource,
    crawl: Crawler,
) -> None:
    site = start_practice("--robots", robots)
    source = make_source(f"{site.url}/constant/sums/captcha.png", **IMAGE)
    crawled = crawl(source, CRAWL_ALLOWED_HOSTS=site.host)
    assert (crawled.code, crawled.run.reason, crawled.run.kept) == (1, reason, 0)


def test_the_delay_that_robots_txt_asks_for_is_kept(
    start_practice: Callable[..., PracticeProcess], make_source: MakeSource, crawl: Crawler
) -> None:
    site = start_practice("--robots", "slow")
    source = make_source(f"{site.url}/constant/sums/captcha.png", **IMAGE)
    assert crawl(source, "--count", "3", CRAWL_ALLOWED_HOSTS=site.host).code == 0
    with urllib.request.urlopen(f"{site.url}/log.json", timeout=60) as answer:  # noqa: S310 - ours
        asked = json.load(answer)["requests"][:-1]
    assert [one["target"] for one in asked] == ["/robots.txt", *["/constant/sums/captcha.png"] * 3]
    assert all(later["time"] - earlier["time"] > 1.9 for earlier, later in pairwise(asked[1:]))
    assert {one["user_agent"] for one in asked} == {"CaptchaSolvingService/1.0 (+crawler@example.org)"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` that nobody signed but itself, with its key."""
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    make = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost", "-keyout", str(file),
        "-out", str(file.with_suffix(".crt")),
    ]  # fmt: skip
    subprocess.run(make, check=True, capture_output=True)
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.mark.parametrize(
    ("host", "trusted", "kept"), [("localhost", False, 0), ("127.0.0.1", True, 0), ("localhost", True, 1)]
)
def test_certificates_are_verified(
    host: str,
    trusted: bool,
    kept: int,
    certificate: Path,
    start_practice: Callable[..., PracticeProcess],
    make_source: MakeSource,
    crawl: Crawler,
) -> None:
    """One that nobody signed, one for another name, and one that holds."""
    site = start_practice("--certificate", str(certificate))
    place = site.host.replace("127.0.0.1", host)
    source = make_source(f"https://{place}/constant/sums/captcha.png", **IMAGE)
    trust = {"SSL_CERT_FILE": str(certificate.with_suffix(".crt"))} if trusted else {}
    crawled = crawl(source, "--count", "1", CRAWL_ALLOWED_HOSTS=place, **trust)
    assert crawled.run.kept == kept, crawled.output
    if not kept:
        assert crawled.code == 1
        assert (
            crawled.run.reason.startswith("robots.txt cannot be read") or "certificate" in crawled.run.reason
        )
        assert "certificate" in crawled.output


def test_the_practice_site_says_when_its_port_is_taken(practice: PracticeProcess) -> None:
    command = [sys.executable, "manage.py", "practice_site", "--port", practice.host.rpartition(":")[2]]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Cannot listen on" in ran.stderr
