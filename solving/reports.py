"""Reports on answers: that one was right, or wrong. Whoever pays for a wrong one gets the credits back.

A report of a wrong answer puts its image before the labellers; once they have decided, `settle_reports`
compares. Where a type has no labellers, as what the general reader reads, staff decide in the back office.
The states of a report say how it stands; what changes a balance is in the ledger as a refund, once.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from accounts import consent, credits
from accounts.models import CreditAccount, User
from labeling import reports as labelling
from ml import services as models
from ml.models import CaptchaType
from ml.recognition import arithmetic
from ml.recognition.arithmetic import NotArithmetic
from ml.recognition.images import ImageError
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
_TOGETHER = 500


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


def apply_consent(user: User) -> None:
    """Let what the user says of training count for the images that they have reported before."""
    reported = SolveReport.objects.filter(user=user, verdict=Verdict.INCORRECT, by_hand=False)
    references = [f"solve {pk}" for pk in reported.values_list("pk", flat=True)]
    labelling.let_train(references, allowed=consent.is_given(user))


def settle_reports() -> Counter[str]:
    """Settle what the labellers have decided since; how many reports came into which state."""
    settled: Counter[str] = Counter()
    waiting = SolveReport.objects.filter(state=State.WAITING, by_hand=False).order_by("created")
    ids = list(waiting.values_list("pk", flat=True))
    for start in range(0, len(ids), _TOGETHER):
        references = {f"solve {pk}": pk for pk in ids[start : start + _TOGETHER]}
        for reference, text in labelling.decided(references).items():
            state = _settle(references[reference], text)
            if state is not None:
                settled[state] += 1
    return settled


def settle_by_hand(*, solve_id: int, was_wrong: bool) -> bool:
    """What somebody of the staff decided on a report; False where it does not wait for them any more."""
    with transaction.atomic():
        report = _waiting(solve_id).filter(by_hand=True).first()
        if report is None:
            return False
        _decide(report, State.CONFIRMED if was_wrong else State.REJECTED)
        kept_images.forget_for_staff(report.solve)
    return True


def _settle(solve_id: int, text: str | None) -> str | None:
    """The new state of a report on an image that shows `text`, or nothing readable; None if it has one."""
    with transaction.atomic():
        report = _waiting(solve_id).first()
        if report is None:
            return None
        if text is None:
            return _decide(report, State.UNREADABLE)
        report.decided_text = text
        models.confirm(reference=solve_id, text=text)
        return _decide(report, State.CONFIRMED if _differs(report.solve, text) else State.REJECTED)


def _waiting(solve_id: int) -> QuerySet[SolveReport]:
    """The report, locked, while it waits: of two who settle it at once the second finds none."""
    locked = SolveReport.objects.select_for_update(of=("self",)).select_related("solve")
    return locked.filter(pk=solve_id, state=State.WAITING)


def _decide(report: SolveReport, state: str) -> str:
    """What nobody can read is paid back too: it was answered all the same."""
    report.state, report.decided = state, timezone.now()
    report.save(update_fields=["state", "decided", "decided_text"])
    if state != State.REJECTED:
        _refund(report)
    return state


def _differs(solve: Solve, text: str) -> bool:
    """Whether an answer is wrong for an image that shows `text`: of a sum, its value counts."""
    kind = CaptchaType.objects.filter(slug=solve.captcha_type).first()
    if kind is not None and kind.arithmetic:
        try:
            return str(arithmetic.answer(text)) != solve.answer
        except NotArithmetic:
            pass
    if kind is not None and kind.case_sensitive:
        return text != solve.text
    return text.casefold() != solve.text.casefold()


def _reference(solve: Solve) -> str:
    return f"solve {solve.pk}"


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
        _put_before_people(report, image)
        if settings.REFUND_REPORTS_AT_ONCE:
            _refund(report)
    return report


def _put_before_people(report: SolveReport, image: bytes) -> None:
    solve = report.solve
    try:
        labelling.add_reported(
            type_slug=solve.captcha_type,
            image_bytes=image,
            read=solve.text,
            correction=report.correction or None,
            reference=_reference(solve),
            may_train=consent.is_given(report.user) if report.user else False,
        )
    except (labelling.CannotReport, ImageError):  # labelling takes smaller images than solving
        report.by_hand = True
        report.save(update_fields=["by_hand"])
        kept_images.keep_for_staff(solve, image)


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
    """Give back what the solve cost, once; nothing where its user is gone, and the account with them.

    Nor for a private type: its owner, who labels it, would be judge and party.
    """
    solve = report.solve
    if CaptchaType.objects.filter(slug=solve.captcha_type, owner__isnull=False).exists():
        return
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
