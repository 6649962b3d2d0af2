"""What changes sources and runs: the run's begin, what it keeps, its heartbeat and its end."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from crawl import rules
from crawl.errors import CrawlError, HostBusy, NotAuthorised, SourceError
from crawl.models import CaptchaSource, CrawledImage, CrawlRun
from jobs import services as jobs
from jobs.addresses import resolve_public
from jobs.models import JobRun, Schedule
from labeling.importing import add_image, add_label
from labeling.models import Label, Sample
from labeling.rules import RuleBroken
from ml.recognition.datasets import hash_bytes

JOB = "crawl"
STALE = timedelta(minutes=2)
"""A run whose process was not heard of for so long is taken for dead."""
KILLED = "its process was killed"
INTERRUPTED = "interrupted"
MAX_LOG = 20_000
"""Characters of the log that a run keeps."""


def check_authorised(source: CaptchaSource) -> None:
    """Raises NotAuthorised, with what is missing."""
    if not source.active:
        raise NotAuthorised(f"{source} is switched off.")
    if not source.authorised_by.strip() or not source.authorisation.strip():
        raise NotAuthorised(f"{source} says neither who authorised crawling it nor where that is written.")
    if source.authorised_until is None:
        raise NotAuthorised(f"{source} does not say until when it is authorised.")
    if source.authorised_until < timezone.localdate():
        raise NotAuthorised(f"The authorisation of {source} ended on {source.authorised_until}.")


def check_source(source: CaptchaSource) -> None:
    """Whether the source may be crawled now, and makes sense.

    Raises:
        NotAuthorised, SourceError
    """
    check_authorised(source)
    for name, problem in rules.problems_of(source).items():
        raise SourceError(f"{source}: {name}: {problem}")
    host, port = rules.address_of(source.start_url)
    allowed = rules.is_allowed(host, port)
    if not allowed and not resolve_public(host):
        raise SourceError(
            f"{host} is not crawled: it is not known, or it is this machine or one of an inner network. "
            f"If it is a test site of your own, add {host}:{port} to the setting CRAWL_ALLOWED_HOSTS, and "
            "restart the service."
        )
    if not allowed and not settings.CRAWL_CONTACT:
        raise SourceError(
            "Set CRAWL_CONTACT to an address or a page of yours: the user agent tells sites whom to ask."
        )


def begin(
    *,
    source: CaptchaSource,
    by: str,
    count: int | None = None,
    resume: bool = False,
    go_on: bool = False,
) -> CrawlRun:
    """A run of the source for `count` new images; or the last one once more.

    Args:
        resume: the last one that did not reach its count, however it ended.
        go_on: the last one if its process was killed or told to end, else a new one.

    Raises:
        NotAuthorised, SourceError, HostBusy, CrawlError
    """
    check_source(source)
    _put_dead_runs_aside(source.host)
    authorisation = f"{source.authorised_by}, until {source.authorised_until}: {source.authorisation}"
    at_work = {
        "state": CrawlRun.State.RUNNING,
        "pid": os.getpid(),
        "machine": socket.gethostname()[:200],
        "heartbeat": timezone.now(),
        "authorisation": authorisation,
        "cancel": False,
        "reason": "",
        "ended": None,
    }
    try:
        with transaction.atomic():
            if resume or (go_on and _was_broken_off(source)):
                return _resumed(source, at_work)
            return CrawlRun.objects.create(
                source=source,
                source_slug=source.slug,
                host=source.host,
                wanted=count or source.count,
                by=by[:200],
                **at_work,
            )
    except IntegrityError as error:
        raise HostBusy(f"Another run is asking {source.host} now; one host is asked by one run.") from error


def _resumed(source: CaptchaSource, at_work: Mapping[str, object]) -> CrawlRun:
    run = CrawlRun.objects.filter(source=source).exclude(state=CrawlRun.State.COMPLETE).first()
    if run is None:
        raise CrawlError(f"{source} has no run that ended early.")
    if run.state == CrawlRun.State.RUNNING:
        raise HostBusy(f"{run} is at work.")
    for name, value in at_work.items():
        setattr(run, name, value)
    run.save(update_fields=list(at_work))
    return run


def _was_broken_off(source: CaptchaSource) -> bool:
    run = CrawlRun.objects.filter(source=source).first()
    return run is not None and run.reason in (KILLED, INTERRUPTED)


def _put_dead_runs_aside(host: str) -> None:
    """A run that was killed says nothing more: it must not keep its host from being asked for ever."""
    for run in CrawlRun.objects.filter(host=host, state=CrawlRun.State.RUNNING):
        if _is_dead(run):
            CrawlRun.objects.filter(pk=run.pk, heartbeat=run.heartbeat).update(
                state=CrawlRun.State.SHORT, reason=KILLED, ended=run.heartbeat
            )


def _is_dead(run: CrawlRun) -> bool:
    if run.heartbeat < timezone.now() - STALE:
        return True
    if run.machine != socket.gethostname()[:200] or not run.pid:
        return False
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@dataclass(frozen=True)
class Kept:
    """What became of an image: whether it was new, whether its text came with it, and why not."""

    new: bool
    labelled: bool = False
    text_refused: str = ""


@transaction.atomic
def keep(*, run: CrawlRun, data: bytes, url: str, fetched: datetime, text: str = "") -> Kept:
    """Take an image into the queue, with its label and its trail, or count it as known: all of it or nothing.

    Raises:
        ImageError
    """
    captcha_type = run.its_source.captcha_type
    sample, new = add_image(
        captcha_type=captcha_type,
        data=data,
        name=url.rpartition("/")[2].partition("?")[0],
        source=f"crawl {run.source_slug}, run {run.pk}",
        split_key=f"text {text.casefold()}" if text else "",
    )
    if not new:
        CrawlRun.objects.filter(pk=run.pk).update(duplicates=F("duplicates") + 1)
        return Kept(new=False)
    CrawledImage.objects.create(run=run, sample=sample, sha256=sample.sha256, url=url[:2000], fetched=fetched)
    labelled, refused = False, ""
    if text:
        try:
            labelled = add_label(sample=sample, kind=Label.Kind.TEXT, text=text, trusted=True)
        except RuleBroken as error:
            refused = str(error)
    CrawlRun.objects.filter(pk=run.pk).update(kept=F("kept") + 1, labelled=F("labelled") + int(labelled))
    return Kept(True, labelled, refused)


def is_known(*, run: CrawlRun, data: bytes) -> bool:
    """Whether the type has these bytes already; counted then, as the image's and as the run's duplicate."""
    known = Sample.objects.filter(captcha_type=run.its_source.captcha_type_id, sha256=hash_bytes(data))
    with transaction.atomic():
        if not known.update(duplicates=F("duplicates") + 1):
            return False
        CrawlRun.objects.filter(pk=run.pk).update(duplicates=F("duplicates") + 1)
    return True


@dataclass
class Beat:
    """What a process tells of its work since it began; the run's row holds the sum of all its starts."""

    drops: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    seconds: float = 0.0
    log: str = ""


def beat(*, run: CrawlRun, told: Beat) -> str:
    """Store how far the process is; why it has to end, or nothing.

    `run` is as it was when the process began: what it counted before stays in.
    """
    CrawlRun.objects.filter(pk=run.pk).update(**_counters(run, told), heartbeat=timezone.now())
    now = CrawlRun.objects.select_related("source").get(pk=run.pk)
    if now.cancel:
        return "somebody cancelled it"
    if now.state != CrawlRun.State.RUNNING:
        return "another process took it for dead"
    try:
        if now.source is None:
            raise NotAuthorised("The source was deleted.")
        check_authorised(now.source)
    except NotAuthorised as error:
        return str(error)
    return ""


def finish(*, run: CrawlRun, told: Beat, reason: str, stopped: bool) -> CrawlRun:
    """The run as it ended. `stopped`: by a person, not by itself."""
    now = CrawlRun.objects.get(pk=run.pk)
    state = CrawlRun.State.COMPLETE if now.kept >= now.wanted else CrawlRun.State.SHORT
    if stopped and state == CrawlRun.State.SHORT:
        state = CrawlRun.State.CANCELLED
    CrawlRun.objects.filter(pk=run.pk).update(
        **_counters(run, told), state=state, reason=reason[:300], ended=timezone.now()
    )
    return CrawlRun.objects.get(pk=run.pk)


def start_job(*, source: CaptchaSource, user: Any, count: int | None = None) -> JobRun:
    """Crawl in the background.

    Raises:
        NotAuthorised, SourceError, HostBusy, CrawlError
    """
    check_source(source)
    if not settings.CELERY_BROKER_URL and find_spec("scrapy") is None:
        raise CrawlError(
            "Crawling needs Scrapy, which is not installed here. Type `make crawling` and start anew, "
            f"or type elsewhere: manage.py crawl {source.slug}"
        )
    words = [source.slug, "--count", str(count or source.count), "--go-on", "--by", user.get_username()]
    try:
        return jobs.start_job(kind=JOB, args=words, user=user, key=job_key(source))
    except jobs.AlreadyRunning as error:
        raise HostBusy(f"{source} is being crawled: {error}") from error


def job_key(source: CaptchaSource) -> str:
    return f"{JOB} {source.pk}"


def keep_schedule(source: CaptchaSource) -> None:
    """Bring the schedule of jobs up to what the source says."""
    words = [source.slug, "--go-on", "--by", "the schedule"]
    present = Schedule.objects.filter(kind=JOB, arguments=words)
    if not source.every_minutes and not source.daily_at:
        present.delete()
        return
    rhythm = {"every_minutes": source.every_minutes, "daily_at": source.daily_at}
    if not present.filter(**rhythm).exists():
        present.delete()
        schedule = Schedule(kind=JOB, arguments=words, **rhythm)
        schedule.next_run = schedule.following(timezone.now())
        schedule.save()
    present.update(enabled=source.active)


def cancel(*, run: CrawlRun) -> None:
    """Ask a run to end after the image that it is at; a dead one ends at once."""
    CrawlRun.objects.filter(pk=run.pk, state=CrawlRun.State.RUNNING).update(cancel=True)
    _put_dead_runs_aside(run.host)


def cancel_all(*, source: CaptchaSource) -> None:
    """End what is under way for the source: the run, and a job that has not begun one."""
    for run in CrawlRun.objects.filter(source=source, state=CrawlRun.State.RUNNING):
        cancel(run=run)
    job = jobs.unfinished(job_key(source))
    if job is not None and job.state == JobRun.State.QUEUED:
        jobs.cancel(run=job)


def _counters(run: CrawlRun, told: Beat) -> dict[str, object]:
    drops = {
        reason: run.drops.get(reason, 0) + told.drops.get(reason, 0)
        for reason in sorted({*run.drops, *told.drops})
    }
    return {
        "drops": drops,
        "requests": run.requests + told.requests,
        "seconds": run.seconds + told.seconds,
        "log": told.log[-MAX_LOG:],
    }
