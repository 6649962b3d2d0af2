"""Two versions of one model on the same images, side by side: for staff, from what evaluations stored.

Nothing is read within a request: where the two have no images in common yet, a job reads them.
"""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from captcha_site.labelled_pictures import picture_addresses
from captcha_site.type_pages import may_compare, visible_type
from jobs.services import AlreadyRunning, JobError, start_job
from labeling.datasets import labelled_folders
from labeling.models import Dataset
from ml.models import ModelVersion
from ml.recognition.metrics import interval
from ml.selectors import TITLES
from ml.side_by_side import SideBySide, evaluations_of_both, side_by_side

SHOWN = 60
"""Images on which the two differ, on one page."""


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def compare(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: who is better and where they differ. POST: a job that reads the newest data set with both."""
    if not may_compare(request):
        raise Http404
    captcha_type = visible_type(request, slug)
    versions = list(ModelVersion.objects.filter(slug=slug))
    asked = request.POST if request.method == "POST" else request.GET
    one, other = (_version(versions, asked.get(name, "")) for name in ("one", "other"))
    if one is None or other is None or one == other:
        one, other = _proposed(versions)
    context: dict[str, Any] = {
        "slug": slug,
        "title": captcha_type.title if captcha_type else TITLES[slug],
        "versions": versions,
        "one": one,
        "other": other,
        "may_start": request.user.has_perm("ml.change_modelversion"),
    }
    if one is not None and other is not None:
        dataset = Dataset.objects.filter(captcha_type=captcha_type).first() if captcha_type else None
        if request.method == "POST" and dataset is not None and context["may_start"]:
            return _start(request, one, other, dataset)
        context["dataset"] = dataset
        context |= _compared(request, one, other)
    return render(request, "types/compare.html", context)


def _version(versions: list[ModelVersion], number: str) -> ModelVersion | None:
    return next((one for one in versions if str(one.version) == number), None)


def _proposed(versions: list[ModelVersion]) -> tuple[ModelVersion | None, ModelVersion | None]:
    """What serves, and the newest of the others; nothing where there are no two."""
    serving = [one for one in versions if one.state == ModelVersion.State.SERVING]
    order = [*serving, *(one for one in versions if one not in serving)]
    return (order[0], order[1]) if len(order) > 1 else (None, None)


def _compared(request: HttpRequest, one: ModelVersion, other: ModelVersion) -> dict[str, Any]:
    """Both on the data set that was asked for, else on the newest that they share."""
    shared = evaluations_of_both(one, other)
    if not shared:
        return {}
    wanted = request.GET.get("data", "")
    mine, theirs = next((pair for pair in shared if pair[0].dataset_hash[:12] == wanted), shared[0])
    found: SideBySide = side_by_side(mine, theirs)
    shown = found.differences[:SHOWN]
    addresses = picture_addresses(request.user, (each.data_hash for each in shown))
    return {
        "shared": [pair[0] for pair in shared],
        "found": found,
        "figures": [(each.version, each, interval(each.right, each.n)) for each in (mine, theirs)],
        "differences": [(each, addresses.get(each.data_hash)) for each in shown],
        "more": len(found.differences) - len(shown),
    }


def _start(request: HttpRequest, one: ModelVersion, other: ModelVersion, dataset: Dataset) -> HttpResponse:
    arguments = [one.slug, "--version", str(one.version), "--against", str(other.version), "--images"]
    try:
        run = start_job(
            kind="evaluate",
            args=[*arguments, *map(str, labelled_folders(dataset))],
            user=request.user,
            key=f"compare {one.slug}",
        )
    except AlreadyRunning as running:
        messages.info(request, "A comparison of this type is under way.")
        return redirect("jobs:job", running.run.pk)
    except JobError as error:
        messages.error(request, str(error))
        return redirect(
            f"{reverse('compare-versions', args=[one.slug])}?one={one.version}&other={other.version}"
        )
    messages.success(
        request, f"{one} and {other} read data set {dataset.number} now; then compare them here."
    )
    return redirect("jobs:job", run.pk)
