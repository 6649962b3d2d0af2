"""Reports on answers: that one was right, or wrong. Whoever pays for a wrong one gets the credits back.

A report of a wrong answer puts its image before the labellers; once they have decided, `settle` compares. The
states of a report say how it stands; what changes a balance is in the ledger as a refund, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts import credits
from accounts.models import CreditAccount, User
from ml import services as models
from solving import kept_images
from solving.errors import AlreadyReported, NotReportable, ReportsLimited, ReportTooLate
from solving.models import Solve, SolveReport

Verdict = SolveReport.Verdict
State = SolveReport.State

JUDGED_OVER = timedelta(days=30)
"""How far back a user's reports count for or against them."""
REJECTED_TO_LIMIT = 5
"""Rejected reports from which a user is limited, if they are also more than the confirmed ones."""
WHEN_LIMITED = 3
"""Reports that a limited user may still make in a day."""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Standing:
    """How a user's reports of wrong answers turned out."""

    confirmed: int
    rejected: int

    @property
    def limited(self) -> bool:
        return self.rejected >= REJECTED_TO_LIMIT and self.rejected > self.confirmed

    @property
    def notice(self) -> str:
        """What the user is told; nothing while all is well."""
        if not self.limited:
            return ""
        return (
            f"Of your reports of the last {JUDGED_OVER.days} days, {self.rejected} turned out wrong and "
            f"{self.confirmed} right. Until that changes you can report {WHEN_LIMITED} answers a day."
        )


def file(*, user: User, solve: Solve, verdict: str, correction: str = "") -> SolveReport:
    """Take a report on an answer, once for each.

    Raises NotReportable, AlreadyReported, ReportTooLate and ReportsLimited; then nothing is stored.
    """
    if solve.outcome != Solve.Outcome.SOLVED:
        raise NotReportable
    if timezone.now() - solve.created > kept_images.window():
        raise ReportTooLate(settings.REPORT_WINDOW_MINUTES)
    if verdict == Verdict.CORRECT:
        return _file_correct(user, solve)
    return _file_incorrect(user, solve, correction)


def file_each(*, user: User, solves: Sequence[Solve], verdict: str) -> list[SolveReport]:
    """The same report on every answer of a task; all or none."""
    with transaction.atomic():
        return [file(user=user, solve=solve, verdict=verdict) for solve in solves]


def standing(user: User) -> Standing:
    since = timezone.now() - JUDGED_OVER
    counted = SolveReport.objects.filter(user=user, created__gte=since).aggregate(
        confirmed=Count("pk", filter=Q(state=State.CONFIRMED)),
        rejected=Count("pk", filter=Q(state=State.REJECTED)),
    )
    return Standing(**counted)


def _file_correct(user: User, solve: Solve) -> SolveReport:
    with transaction.atomic():
        report = _insert(user, solve, Verdict.CORRECT, State.NOTED)
        models.confirm(reference=solve.pk, text=solve.text)
    return report


def _file_incorrect(user: User, solve: Solve, correction: str) -> SolveReport:
    now = standing(user)
    if now.limited:
        today = SolveReport.objects.filter(
            user=user, verdict=Verdict.INCORRECT, created__gte=timezone.now() - _DAY
        )
        if today.count() >= WHEN_LIMITED:
            raise ReportsLimited(now.notice)
    image = kept_images.read(solve)
    if image is None:
        raise ReportTooLate(settings.REPORT_WINDOW_MINUTES)
    with transaction.atomic():
        report = _insert(user, solve, Verdict.INCORRECT, State.WAITING, correction)
        if settings.REFUND_REPORTS_AT_ONCE:
            _refund(report)
    return report


def _insert(user: User, solve: Solve, verdict: str, state: str, correction: str = "") -> SolveReport:
    try:
        with transaction.atomic():
            return SolveReport.objects.create(
                solve=solve, user=user, verdict=verdict, state=state, correction=correction
            )
    except IntegrityError as error:
        if SolveReport.objects.filter(solve=solve).exists():
            raise AlreadyReported from error
        raise


def _refund(report: SolveReport) -> None:
    """Give back what the solve cost, once; nothing where its user is gone, and the account with them."""
    solve = report.solve
    once = SolveReport.objects.filter(pk=report.pk, refunded=0)
    if (
        not solve.charged
        or not CreditAccount.objects.filter(pk=solve.account_id, user__isnull=False).exists()
    ):
        return
    if once.update(refunded=solve.charged) == 1:
        report.refunded = solve.charged
        credits.refund(
            account_id=solve.account_id,
            amount=solve.charged,
            reference=f"report {solve.pk}",
            reason="a wrong answer",
        )
