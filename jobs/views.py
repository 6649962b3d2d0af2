"""The page of one run. Whoever may not see it meets a 404, as for one that does not exist."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from jobs import selectors, services
from jobs.models import JobRun


def visible_run(request: HttpRequest, pk: int) -> JobRun:
    if not request.user.is_authenticated or pk >= 2**63:
        raise Http404
    return get_object_or_404(selectors.runs_for(request.user), pk=pk)


@require_safe
@login_required
@never_cache
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is, what it printed last, and a button that cancels it."""
    run = visible_run(request, pk)
    context = {
        "run": run,
        "state_url": reverse("jobs:state", args=[pk]),
        "shown": selectors.as_shown(run, request.user),
        "may_cancel": selectors.may_cancel(request.user, run),
    }
    return render(request, "jobs/job.html", context)


@require_safe
@never_cache
def state(request: HttpRequest, pk: int) -> HttpResponse:
    """The same as JSON, for the page, which looks every second and so notices a process that died."""
    visible_run(request, pk)
    services.recover_lost()
    return JsonResponse(selectors.as_shown(visible_run(request, pk), request.user))


@require_POST
@login_required
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    run = visible_run(request, pk)
    if not selectors.may_cancel(request.user, run):
        raise Http404
    services.cancel(run=run)
    return redirect("jobs:job", pk)
