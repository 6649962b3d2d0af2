"""The practice site as a process over real HTTP, and crawls of it as processes on the test's database."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection

from crawl.models import CaptchaSource, CrawlRun
from labeling.models import Sample
from ml.models import CaptchaType

ROOT = Path(__file__).resolve().parents[2]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=?"
TOMORROW = dt.date.today() + dt.timedelta(days=1)  # noqa: DTZ011 - a day more or less is no matter


class PracticeProcess:
    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "crawl.practice", "--port", "0", *arguments]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.host = self.url.partition("//")[2]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def practice() -> Iterator[PracticeProcess]:
    site = PracticeProcess()
    yield site
    site.stop()


@pytest.fixture
def start_practice() -> Iterator[Callable[..., PracticeProcess]]:
    """A practice site of the test alone, with these arguments."""
    started: list[PracticeProcess] = []

    def start(*arguments: str) -> PracticeProcess:
        started.append(PracticeProcess(*arguments))
        return started[-1]

    yield start
    for site in started:
        site.stop()


@pytest.fixture(autouse=True)
def _own_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FileSystemStorage(location=tmp_path / "samples")
    monkeypatch.setattr(Sample._meta.get_field("image"), "storage", storage)


@pytest.fixture
def captcha_type(db: None) -> CaptchaType:
    return CaptchaType.objects.create(
        slug="shop", title="Shop", alphabet=ALPHABET, min_length=2, max_length=8
    )


MakeSource = Callable[..., CaptchaSource]


@pytest.fixture
def make_source(captcha_type: CaptchaType, practice: PracticeProcess) -> MakeSource:
    """A source of the practice site; a start URL without a host lies there."""

    def make(start_url: str, **fields: Any) -> CaptchaSource:
        values: dict[str, Any] = {
            "slug": f"source{CaptchaSource.objects.count()}",
            "captcha_type": captcha_type,
            "start_url": practice.url + start_url if start_url.startswith("/") else start_url,
            "delay": 0,
            "authorised_by": "Ada",
            "authorisation": "our own site",
            "authorised_until": TOMORROW,
        }
        source = CaptchaSource(**values | fields)
        source.full_clean()
        source.save()
        return source

    return make


@dataclass(frozen=True)
class Crawled:
    code: int
    output: str
    run: CrawlRun


class Crawler:
    """`manage.py crawl` as a process of its own, as it is in service: a reactor runs once."""

    def __init__(self, samples: Path, allowed: str) -> None:
        self.environ = os.environ | {
            "DATABASE_URL": database_url(),
            "SAMPLES_ROOT": str(samples),
            "CRAWL_ALLOWED_HOSTS": allowed,
            "CRAWL_CONTACT": "crawler@example.org",
        }

    def start(self, source: CaptchaSource, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "crawl", source.slug, *arguments]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, source: CaptchaSource, *arguments: str, **environ: str) -> Crawled:
        process = self.start(source, *arguments, **environ)
        output, _ = process.communicate(timeout=240)
        run = CrawlRun.objects.filter(source=source).first()
        assert run is not None, output
        return Crawled(process.returncode, output, run)


@pytest.fixture
def crawl(tmp_path: Path, practice: PracticeProcess) -> Crawler:
    return Crawler(tmp_path / "samples", practice.host)


def database_url() -> str:
    """Of the test's database, for another process."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
