"""No socket to an address that is not public, unless the operator allowed that host: 200 ways to try."""

import json
import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest

from crawl.tests.conftest import ROOT, PracticeProcess
from crawl.tests.hostile_crawl import NAMES

ADDRESSES = [
    "0.0.0.0",  # noqa: S104 - asked, not bound
    "0.1.2.3", "10.0.0.1", "10.255.255.254", "100.64.0.1", "100.100.100.200", "127.0.0.1",
    "127.0.0.53", "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.254", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.254",
    "198.18.0.1", "198.19.255.254", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255",
    "[::]", "[::1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[100::1]",
    "[2001::1]",
    "[2001:db8::1]", "[2002:7f00:1::]", "[3fff::1]", "[5f00::1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]",
    "[fec0::1]", "[ff02::1]",
]  # fmt: skip
DISGUISES = [
    "localhost", "LOCALHOST", "localhost.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "017700000001", "127.0.0.1.", "①②⑦.⓪.⓪.①", "0", "00000000", "0x0", "2852039166",
    "0xa9fea9fe", "3232235521",
]  # fmt: skip
SCHEMES = [
    "file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/", "ftps://127.0.0.1/",
    "s3://bucket/key", "data:image/png;base64,AAAA", "gopher://127.0.0.1:70/_x", "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/", "jar:http://127.0.0.1/!/", "unix:///run/docker.sock", "ws://127.0.0.1/", "tftp://127.0.0.1/",
]  # fmt: skip
TRICKS = [
    "http://example.org@127.0.0.1/", "http://open.test:80@127.0.0.1/", "http://127.0.0.1:1@loop.test/",
    "http://user:password@10.0.0.1/", "http://127.0.0.1%2f@open.test/", "http://[::1%25lo]/",
    "http://127.0.0.1\\@open.test/", "http:/127.0.0.1/", "http:///127.0.0.1/", "http://127.0.0.1#@open.test/",
]  # fmt: skip


def hostile_urls(practice: str) -> list[str]:
    plain = [f"http://{host}/" for host in [*ADDRESSES, *DISGUISES]]
    with_ports = [f"https://{host}:6379/x.png" for host in ADDRESSES[::2]]
    other_ports = ["http://127.0.0.1:1/", "https://127.0.0.1/", "http://localhost:22/", "http://[::1]:5432/"]
    names = [
        f"{scheme}://{name}/captcha.png"
        for name in NAMES
        if name != "open.test"
        for scheme in ("http", "https")
    ]
    rebinding = [f"http://rebind{number}.test/captcha.png" for number in range(10)]
    targets = [*plain[:60:2], *SCHEMES[:6], *names[::2], "http://rebind-by-redirect.test/"]
    redirects = [f"{practice}/hostile/to?url={quote(url, safe='')}" for url in targets]
    chains = [f"{practice}/hostile/to?url={quote(url, safe='')}" for url in redirects[::3]]
    return [*plain, *with_ports, *other_ports, *SCHEMES, *TRICKS, *names, *rebinding, *redirects, *chains]


@pytest.fixture(scope="module")
def attempted(practice: PracticeProcess) -> dict[str, Any]:
    urls = hostile_urls(practice.url)
    assert len(set(urls)) == len(urls) >= 200
    return attempt([*urls, f"{practice.url}/robots.txt"], practice.host)


def attempt(urls: list[str], *arguments: str) -> dict[str, Any]:
    """What came of each URL, and every connect."""
    ran = subprocess.run(
        [sys.executable, "-m", "crawl.tests.hostile_crawl", *arguments],
        input=json.dumps(urls),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def test_no_hostile_address_is_connected_to(attempted: dict[str, Any], practice: PracticeProcess) -> None:
    public = {"1.1.1.1"}
    allowed = practice.host.rpartition(":")
    inside = [
        one for one in attempted["connects"] if one[0] not in public and one != [allowed[0], int(allowed[2])]
    ]
    assert inside == []


def test_no_hostile_address_answers(attempted: dict[str, Any], practice: PracticeProcess) -> None:
    urls = hostile_urls(practice.url)
    outcomes = attempted["outcomes"]
    assert set(urls) <= set(outcomes)
    # A redirect to what is no web address is no redirect: its own empty answer is what comes.
    answered = {url: outcomes[url] for url in urls if outcomes[url].startswith("answered 2")}
    assert answered == {}


def test_the_watch_sees_what_is_connected_to(attempted: dict[str, Any], practice: PracticeProcess) -> None:
    """Or the tests above could not fail: the allowed site is reached, and a public address is tried."""
    assert attempted["outcomes"][f"{practice.url}/robots.txt"] == "answered 200"
    hosts = {host for host, _ in attempted["connects"]}
    assert hosts == {"127.0.0.1", "1.1.1.1"}


def test_a_name_that_changes_its_address_is_not_followed_inside(attempted: dict[str, Any]) -> None:
    outcomes = [outcome for url, outcome in attempted["outcomes"].items() if url.startswith("http://rebind")]
    assert len(outcomes) == 10
    assert all("at no public address" in outcome or "robots.txt" in outcome for outcome in outcomes)


def test_without_the_guard_nothing_is_reached_at_all(practice: PracticeProcess) -> None:
    """The resolver gives only what was judged, and the handlers of other schemes are off."""
    urls = [f"{practice.url}/robots.txt", "http://127.0.0.1:1/", "http://localhost/", *SCHEMES[:7]]
    told = attempt(urls, practice.host, "unguarded")
    assert told["connects"] == []
    assert [url for url, outcome in told["outcomes"].items() if outcome.startswith("answered")] == []
    assert len(told["outcomes"]) == len(urls)
