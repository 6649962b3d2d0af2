"""A run's life: who may begin it, that it survives a kill, that no two share a host, that it can be ended."""

import datetime as dt
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from crawl import services
from crawl.errors import CrawlError, HostBusy, NotAuthorised, SourceError
from crawl.models import CaptchaSource, CrawledImage, CrawlRun
from crawl.tests.conftest import Crawler, MakeSource
from labeling.models import Sample

CONSTANT: dict[str, Any] = {
    "start_url": "/constant/sums/captcha.png",
    "start": CaptchaSource.Start.IMAGE,
    "session": CaptchaSource.Session.KEPT,
}


@pytest.fixture
def source(make_source: MakeSource, settings: Any) -> CaptchaSource:
    made = make_source(**CONSTANT)
    settings.CRAWL_ALLOWED_HOSTS = [made.host]
    return made


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"active": False}, "switched off"),
        ({"authorised_by": " "}, "says neither who"),
        ({"authorisation": ""}, "says neither who"),
        ({"authorised_until": None}, "until when"),
        ({"authorised_until": dt.date(2020, 1, 1)}, "ended on 2020-01-01"),
    ],
)
def test_nothing_is_crawled_without_an_authorisation_that_holds(
    fields: dict[str, Any], said: str, source: CaptchaSource
) -> None:
    CaptchaSource.objects.update(**fields)
    source.refresh_from_db()
    with pytest.raises(NotAuthorised, match=said):
        services.begin(source=source, by="ada")
    with pytest.raises(CommandError, match=said):
        call_command("crawl", source.slug)
    assert not CrawlRun.objects.exists()


def test_the_last_day_of_an_authorisation_counts(source: CaptchaSource) -> None:
    source.authorised_until = timezone.localdate()
    assert services.begin(source=source, by="ada").state == CrawlRun.State.RUNNING


def test_a_host_inside_has_to_be_allowed_by_name(source: CaptchaSource, settings: Any) -> None:
    settings.CRAWL_ALLOWED_HOSTS = ["127.0.0.1:1"]
    with pytest.raises(SourceError, match=f"add {source.host} to the setting CRAWL_ALLOWED_HOSTS"):
        services.begin(source=source, by="ada")


def test_a_public_host_is_told_whom_to_ask(source: CaptchaSource, settings: Any) -> None:
    source.start_url = "http://1.1.1.1/captcha.png"
    settings.CRAWL_CONTACT = ""
    with pytest.raises(SourceError, match="Set CRAWL_CONTACT"):
        services.begin(source=source, by="ada")


def test_one_run_at_a_time_asks_a_host(source: CaptchaSource, make_source: MakeSource) -> None:
    services.begin(source=source, by="ada")
    with pytest.raises(HostBusy):
        services.begin(source=make_source(**CONSTANT), by="ben")
    assert CrawlRun.objects.count() == 1


def test_a_run_whose_process_is_gone_holds_its_host_no_longer(source: CaptchaSource) -> None:
    dead = services.begin(source=source, by="ada")
    CrawlRun.objects.update(machine="elsewhere", heartbeat=timezone.now() - services.STALE)
    services.begin(source=source, by="ben")
    dead.refresh_from_db()
    assert (dead.state, dead.reason) == (CrawlRun.State.SHORT, "its process was killed")


def test_there_may_be_nothing_to_resume(source: CaptchaSource) -> None:
    with pytest.raises(CrawlError, match="no run that ended early"):
        services.begin(source=source, by="ada", resume=True)


def test_an_authorisation_that_ends_ends_the_run(source: CaptchaSource) -> None:
    run = services.begin(source=source, by="ada")
    assert services.beat(run=run, told=services.Beat()) == ""
    CaptchaSource.objects.update(authorised_until=timezone.localdate() - dt.timedelta(days=1))
    assert "ended on" in services.beat(run=run, told=services.Beat())


def test_what_several_starts_of_a_run_tell_adds_up(source: CaptchaSource) -> None:
    run = services.begin(source=source, by="ada")
    services.beat(run=run, told=services.Beat({"HTTP 404": 2}, requests=5, seconds=1.0))
    services.beat(run=run, told=services.Beat({"HTTP 404": 3}, requests=7, seconds=2.0))
    ended = services.finish(run=run, told=services.Beat({"HTTP 404": 3}, 8, 2.5), reason="", stopped=False)
    assert (ended.drops, ended.requests, ended.state) == ({"HTTP 404": 3}, 8, CrawlRun.State.SHORT)
    again = services.begin(source=source, by="ada", resume=True)
    ended = services.finish(run=again, told=services.Beat({"a": 1}, 2, 1.0), reason="", stopped=True)
    assert (ended.drops, ended.requests, ended.seconds) == ({"HTTP 404": 3, "a": 1}, 10, 3.5)
    assert (ended.pk, ended.state) == (run.pk, CrawlRun.State.CANCELLED)


@pytest.mark.parametrize(
    ("reason", "goes_on"),
    [(services.KILLED, True), (services.INTERRUPTED, True), ("5 failures in a row", False)],
)
def test_a_job_begun_again_goes_on_only_with_what_was_broken_off(
    reason: str, goes_on: bool, source: CaptchaSource
) -> None:
    first = services.begin(source=source, by="ada", count=9)
    services.finish(run=first, told=services.Beat(), reason=reason, stopped=False)
    second = services.begin(source=source, by="the schedule", go_on=True)
    assert (second.pk == first.pk) is goes_on
    assert second.wanted == (9 if goes_on else source.count)


@pytest.mark.parametrize("source_fields", [{"image": "img["}, {"spider": "nobody"}, {"image": "//img[@"}])
def test_what_scrapy_cannot_use_is_refused_before_anything_is_asked(
    source_fields: dict[str, str], make_source: MakeSource, settings: Any
) -> None:
    source = make_source("/consent/sums/", **{"image": "img", **source_fields})
    settings.CRAWL_ALLOWED_HOSTS = [source.host]
    with pytest.raises(CommandError, match=r"selector|spider"):
        call_command("crawl", source.slug)
    assert not CrawlRun.objects.exists()


def test_a_killed_run_goes_on_without_a_loss_or_a_double(
    transactional_db: None, make_source: MakeSource, crawl: Crawler, tmp_path: Path
) -> None:
    source = make_source(**CONSTANT)
    for kill_at in (4, 9):
        process = crawl.start(source, "--count", "15", *(["--resume"] if kill_at > 4 else []))
        _wait_for(lambda kill_at=kill_at: _kept(source) >= kill_at, process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        run = CrawlRun.objects.get(source=source)
        assert run.kept == CrawledImage.objects.filter(run=run).count() == Sample.objects.count() < 15
    crawled = crawl(source, "--resume")
    assert crawled.code == 0, crawled.output
    assert CrawlRun.objects.count() == 1
    assert crawled.run.kept == CrawledImage.objects.count() == Sample.objects.count() == 15
    for sample in Sample.objects.all():
        assert (tmp_path / "samples" / str(sample.image)).stat().st_size == sample.size


def test_ctrl_c_ends_it_in_order_and_it_can_go_on(
    transactional_db: None, make_source: MakeSource, crawl: Crawler
) -> None:
    source = make_source(**CONSTANT, delay=0.2)
    process = crawl.start(source, "--count", "500")
    _wait_for(lambda: _kept(source) >= 2, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    run = CrawlRun.objects.get()
    assert (process.returncode, run.state, run.reason) == (1, CrawlRun.State.CANCELLED, "interrupted"), output
    assert run.kept == Sample.objects.count() >= 2
    assert "--resume brings the rest" in output


def test_somebody_may_cancel_it(transactional_db: None, make_source: MakeSource, crawl: Crawler) -> None:
    source = make_source(**CONSTANT, delay=0.2)
    process = crawl.start(source, "--count", "500")
    _wait_for(lambda: _kept(source) >= 2, process)
    services.cancel(run=CrawlRun.objects.get())
    output, _ = process.communicate(timeout=60)
    run = CrawlRun.objects.get()
    assert (run.state, run.reason) == (CrawlRun.State.CANCELLED, "somebody cancelled it"), output
    assert "GET" not in run.log
    assert "Spider closed" in run.log


def _kept(source: CaptchaSource) -> int:
    return sum(CrawlRun.objects.filter(source=source).values_list("kept", flat=True))


def _wait_for(condition: Any, process: Any) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_a_process_that_lives_is_not_taken_for_dead(source: CaptchaSource) -> None:
    run = services.begin(source=source, by="ada")
    assert run.pid == os.getpid()
    with pytest.raises(HostBusy):
        services.begin(source=source, by="ben", resume=True)
