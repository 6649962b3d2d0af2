"""Who sees a run, and what a page shows of it."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import JobRun


def runs_for(user: Any) -> QuerySet[JobRun]:
    """The runs that the user may look at: all for those with the permission, else those that they started."""
    if user.is_active and user.is_staff and user.has_perm("jobs.view_jobrun"):
        return JobRun.objects.all()
    return JobRun.objects.filter(started_by=user)


def may_cancel(user: Any, run: JobRun) -> bool:
    """Of those who see the run."""
    return run.started_by_id == user.pk or bool(user.has_perm("jobs.change_jobrun"))


def as_shown(run: JobRun, person: Any) -> dict[str, Any]:
    """What the live page draws. The log may name folders and hosts of the service: it is for staff."""
    begun = run.started or run.created
    return {
        "id": run.pk,
        "title": run.title,
        "state": run.state,
        "ended": run.ended,
        "cancelling": bool(run.cancel_requested) and not run.ended,
        "done": run.done,
        "of": run.of,
        "line": run.line,
        "outcome": run.outcome,
        "exit_code": run.exit_code,
        "seconds": round(((run.finished or timezone.now()) - begun).total_seconds()),
        "curve": run.curve,
        "log": run.log if person.is_staff else None,
    }
