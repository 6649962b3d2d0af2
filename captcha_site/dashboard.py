"""What an operator looks at first: figures of every app, and what waits for a person.

The number of queries is the same however much there is to count; each person sees what they may see.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count, Min, Q, Sum
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.models import CreditAccount
from captcha_site.charts import Chart, stacked_bars
from crawl.models import CaptchaSource, CrawlRun
from jobs.models import JobRun
from labeling.models import Assignment, Label, Membership, Sample
from ml.models import ModelVersion
from own_types.models import Approval
from solving import totals
from solving.models import Solve, SolveReport

DAYS = 14
RECENT = timedelta(days=1)
"""How long something that failed is shown as such."""
EXPIRES_SOON = timedelta(days=7)
WAITS_LONG = timedelta(minutes=15)
KEPT_SECONDS = 60
"""For how long the count of solves is kept: it reads as many rows as there were solves today."""
RUNS = 5


@dataclass(frozen=True)
class Need:
    """Something that waits for a person, and where it is dealt with."""

    text: str
    url: str


@dataclass(frozen=True)
class Figure:
    title: str
    value: str
    detail: str = ""


@dataclass
class Dashboard:
    needs: list[Need] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    days: list[tuple[str, int, int]] = field(default_factory=list)
    chart: Chart | None = None
    jobs: list[JobRun] = field(default_factory=list)
    crawls: list[CrawlRun] = field(default_factory=list)


def dashboard(user: Any) -> Dashboard:
    """For this person of the staff."""
    shown = Dashboard()
    if user.has_perm("ml.view_modelversion"):
        shown.needs += _models()
    if user.has_perm("solving.view_solve"):
        _solves(shown)
    if user.has_perm("accounts.view_creditaccount"):
        _credits(shown)
    if user.has_perm("labeling.view_sample"):
        _labels(shown)
    if user.has_perm("own_types.view_approval"):
        shown.needs += _leaves_to_train()
    if user.has_perm("jobs.view_jobrun"):
        _jobs(shown)
    if user.has_perm("crawl.view_crawlrun"):
        _crawls(shown)
    if user.is_superuser and not settings.DEBUG and not settings.EMAIL_URL:
        shown.needs.append(
            Need(
                "No mail can be sent: nobody can reset a password or confirm an address. Set EMAIL_URL.",
                reverse("admin:index"),
            )
        )
    return shown


def _models() -> Iterator[Need]:
    serving = ModelVersion.objects.filter(state=ModelVersion.State.SERVING)
    names = set()
    for version in serving:
        names.add(version.slug)
        if version.load_error:
            page = reverse("admin:ml_modelversion_change", args=[version.pk])
            yield Need(f"{version} does not load: {version.load_error}", page)
    if not names:
        page = reverse("admin:ml_modelversion_changelist")
        yield Need("No model serves, so nothing is read: manage.py install_models", page)


def _solves(shown: Dashboard) -> None:
    today = timezone.now().date()
    first = today - timedelta(days=DAYS - 1)
    counted = cache.get_or_set(f"dashboard.solves.{today}", lambda: _count_solves(first, today), KEPT_SECONDS)
    solved: Counter[date] = Counter()
    refused: Counter[date] = Counter()
    spent = 0
    for day, outcome, number, charged in counted or []:
        (solved if outcome == Solve.Outcome.SOLVED else refused)[date.fromisoformat(day)] += number
        spent += charged
    days = [first + timedelta(days=number) for number in range(DAYS)]
    shown.days = [(f"{day:%m-%d}", solved[day], refused[day]) for day in days]
    shown.chart = stacked_bars(shown.days, first="solved", second="refused")
    shown.figures.append(
        Figure("Solves today", f"{solved[today]:,}", f"{refused[today]:,} refused, as of the last minute")
    )
    shown.figures.append(Figure(f"Credits spent in {DAYS} days", f"{spent:,}"))
    reports = SolveReport.objects.filter(state=SolveReport.State.WAITING).aggregate(
        waiting=Count("pk"), since=Min("created")
    )
    if reports["waiting"]:
        shown.needs.append(
            Need(
                f"{reports['waiting']} answers that customers call wrong wait for labellers, "
                f"the first since {reports['since']:%Y-%m-%d %H:%M} UTC",
                reverse("labeling:types"),
            )
        )


def _count_solves(first: date, last: date) -> list[tuple[str, str, int, int]]:
    """As a shared cache can hold it, which knows no dates."""
    rows = totals.by_day(user=None, start=first, end=last)
    return [(row.day.isoformat(), row.outcome, row.solves, row.charged) for row in rows]


def _credits(shown: Dashboard) -> None:
    counts = CreditAccount.objects.filter(user__isnull=False).aggregate(
        accounts=Count("pk"),
        unspent=Sum("balance"),
        empty=Count("pk", filter=Q(balance__lt=settings.SOLVE_PRICE, last_charged__isnull=False)),
    )
    detail = f"on {counts['accounts']:,} accounts; {counts['empty']:,} used theirs up"
    shown.figures.append(Figure("Credits not yet spent", f"{counts['unspent'] or 0:,}", detail))


def _labels(shown: Dashboard) -> None:
    since = timezone.now() - timedelta(days=DAYS)
    status = Sample.Status
    samples = Sample.objects.aggregate(
        open=Count("pk", filter=Q(status=status.OPEN)),
        disagreements=Count("pk", filter=Q(status=status.DISAGREEMENT)),
        flagged=Count("pk", filter=Q(status=status.FLAGGED)),
    )
    labels = Label.objects.filter(created__gte=since, undone_at__isnull=True).count()
    checks = Assignment.objects.filter(answered_at__gte=since, right__isnull=False).aggregate(
        n=Count("pk"), right=Count("pk", filter=Q(right=True))
    )
    shown.figures.append(
        Figure(f"Labels in {DAYS} days", f"{labels:,}", f"{samples['open']:,} images wait for a text")
    )
    share = f"{checks['right'] / checks['n']:.1%}".replace("%", " %") if checks["n"] else "–"
    shown.figures.append(Figure("Hidden checks read right", share, f"of {checks['n']:,}"))
    for name, number in (("disagreements", samples["disagreements"]), ("flagged images", samples["flagged"])):
        if number:
            shown.needs.append(Need(f"{number:,} {name} wait for a decision", reverse("labeling:types")))
    for paused in Membership.objects.filter(paused_at__isnull=False).select_related("person", "captcha_type")[
        :5
    ]:
        page = reverse("admin:labeling_membership_change", args=[paused.pk])
        shown.needs.append(Need(f"{paused.person} was paused on {paused.captcha_type}", page))


def _leaves_to_train() -> list[Need]:
    waiting = Approval.objects.filter(approved__isnull=True).select_related("captcha_type__owner")
    page = reverse("admin:own_types_approval_changelist") + "?approved__isempty=1"
    return [
        Need(f"{one.captcha_type.owner} asks for leave to train {one}", page)
        for one in waiting.order_by("asked")[:RUNS]
    ]


def _jobs(shown: Dashboard) -> None:
    now, state = timezone.now(), JobRun.State
    waiting = JobRun.objects.filter(state__in=[state.QUEUED, state.RUNNING]).aggregate(
        queued=Count("pk", filter=Q(state=state.QUEUED)),
        running=Count("pk", filter=Q(state=state.RUNNING)),
        since=Min("created", filter=Q(state=state.QUEUED)),
    )
    detail = f"{waiting['running']} at work"
    shown.figures.append(Figure("Jobs that wait", str(waiting["queued"]), detail))
    if waiting["since"] and waiting["since"] < now - WAITS_LONG:
        shown.needs.append(
            Need(
                f"A job waits since {waiting['since']:%Y-%m-%d %H:%M} UTC: does a worker run?",
                reverse("admin:jobs_jobrun_changelist") + "?state__exact=queued",
            )
        )
    shown.jobs = list(JobRun.objects.select_related("started_by").order_by("-id")[:RUNS])
    failed = JobRun.objects.filter(state=state.FAILED, finished__gte=now - RECENT).order_by("-id")
    shown.needs += [
        Need(f"{run} failed: {run.outcome or 'see its log'}", reverse("jobs:job", args=[run.pk]))
        for run in failed[:RUNS]
    ]


def _crawls(shown: Dashboard) -> None:
    now = timezone.now()
    shown.crawls = list(CrawlRun.objects.order_by("-id")[:RUNS])
    for run in shown.crawls:
        if run.state == CrawlRun.State.SHORT and (run.ended or run.started) >= now - RECENT:
            shown.needs.append(
                Need(f"{run} ended with {run.kept} of {run.wanted} images: {run.reason}", _page_of(run))
            )
    ending = CaptchaSource.objects.filter(active=True, authorised_until__lte=now.date() + EXPIRES_SOON)
    for source in ending.order_by("authorised_until")[:RUNS]:
        shown.needs.append(
            Need(f"Leave to crawl {source} ends on {source.authorised_until}", _page_of(source))
        )


def _page_of(row: Any) -> str:
    """The page of a row in the admin; the first page where the app has none."""
    name = f"{row._meta.app_label}_{row._meta.model_name}"
    try:
        return reverse(f"admin:{name}_change", args=[row.pk])
    except NoReverseMatch:
        return reverse("admin:index")
