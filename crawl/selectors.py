"""What the pages show of sources and runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from crawl.models import CaptchaSource, CrawledImage, CrawlRun
from crawl.services import job_key
from jobs.models import JobRun

RECENT = timedelta(seconds=30)
"""Over which the present rate is taken."""
THUMBNAILS = 12


def last_run(source: CaptchaSource) -> CrawlRun | None:
    return CrawlRun.objects.filter(source=source).first()


def last_job(source: CaptchaSource) -> JobRun | None:
    return JobRun.objects.filter(key=job_key(source)).first()


def as_shown(source: CaptchaSource) -> dict[str, Any]:
    """What the live page draws: the latest run, and the job that is to begin one or failed to."""
    run, job = last_run(source), last_job(source)
    waits = job is not None and not job.ended and (run is None or run.started < job.created)
    failed = job is not None and job.ended and (run is None or run.started < job.created)
    return {
        "job": None if job is None else {"url": reverse("jobs:job", args=[job.pk]), "state": job.state},
        "waits": waits and (run is None or run.state != CrawlRun.State.RUNNING),
        "problem": (job.log or job.outcome)[-2000:] if failed and job is not None else "",
        "run": None if run is None else _run_as_shown(run),
    }


def _run_as_shown(run: CrawlRun) -> dict[str, Any]:
    running = run.state == CrawlRun.State.RUNNING
    images = CrawledImage.objects.filter(run=run)
    now = timezone.now()
    recent = images.filter(fetched__gte=now - RECENT).count() / RECENT.total_seconds() if running else None
    overall = run.kept / run.seconds if run.seconds else 0.0
    latest = images.filter(sample__isnull=False).select_related("sample__captcha_type").order_by("-id")
    return {
        "id": run.pk,
        "state": run.state,
        "state_text": run.get_state_display(),
        "reason": run.reason,
        "wanted": run.wanted,
        "kept": run.kept,
        "labelled": run.labelled,
        "duplicates": run.duplicates,
        "dropped": run.dropped,
        "drops": sorted(run.drops.items(), key=lambda one: -one[1]),
        "requests": run.requests,
        "seconds": round(run.seconds),
        "rate": round(overall if recent is None else recent, 2),
        "silent": round((now - run.heartbeat).total_seconds()) if running else 0,
        "cancelling": run.cancel and running,
        "images": [_thumbnail(image) for image in latest[:THUMBNAILS]],
        "log": run.log,
    }


def _thumbnail(image: CrawledImage) -> dict[str, Any]:
    sample = image.sample
    if sample is None:
        return {}
    url = reverse("labeling:sample-image", args=[sample.captcha_type.slug, sample.pk])
    return {"id": sample.pk, "url": url, "text": sample.text}
