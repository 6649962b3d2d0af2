"""Pages for those who manage a type: import, export, data sets, and the images that were put aside."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.interpreters import NoTrainingPython
from jobs.selectors import as_shown, may_cancel
from jobs.services import AlreadyRunning, recover_lost
from labeling import datasets, exporting, importing, selectors, services, training
from labeling.models import Dataset, Sample
from labeling.predictions import refresh_predictions
from labeling.rules import LabelRules, RuleBroken
from labeling.views import send_image, visible_type
from ml.models import CaptchaType, ModelVersion
from ml.services import RegistryError

IMPORT_SECONDS = 10.0
"""An archive is taken in over several requests, each well within a worker's time limit."""
AT_ONCE = 50
"""Put aside images on one page."""
PUT_ASIDE = (Sample.Status.DISAGREEMENT, Sample.Status.FLAGGED, Sample.Status.UNREADABLE)


def managed_type(request: HttpRequest, slug: str) -> CaptchaType:
    """Raises Http404 for a type that this person does not manage."""
    captcha_type = visible_type(request, slug)
    if not selectors.manages(request.user, captcha_type):
        raise Http404
    return captcha_type


def staffs_type(request: HttpRequest, slug: str) -> CaptchaType:
    """What takes time and disk is for staff: the owner of a private type pays for it on its own page."""
    if not request.user.is_staff:
        raise Http404
    return managed_type(request, slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@ensure_csrf_cookie
def import_(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: the page to drop files on. POST: some of these files, or one zip; answers with what was taken."""
    captcha_type = managed_type(request, slug)
    most = settings.MAX_IMPORT_BYTES
    if captcha_type.owner_id is not None:
        most = min(most, settings.PRIVATE_TYPE_BYTES)
    if request.method != "POST":
        context = {"type": captcha_type, "rules": LabelRules.of(captcha_type), "most": most}
        return render(request, "labeling/import.html", context)
    if int(request.META.get("CONTENT_LENGTH") or 0) > most:
        detail = f"At most {most:,} bytes are taken at once."
        return JsonResponse({"code": "too_large", "detail": detail}, status=413)
    options = importing.Options(
        source=request.POST.get("source", "")[:200],
        labelled=request.POST.get("labelled") == "1",
        trusted=request.POST.get("trusted") == "1",
        start=_start(request.POST.get("start", "0")),
        seconds=IMPORT_SECONDS,
    )
    total = importing.Report()
    files = request.FILES.getlist("files")
    plain = [one for one in files if not (one.name or "").lower().endswith(".zip")]
    given = [(one.name or "", one.read()) for one in plain]
    try:
        total.add(importing.import_files(captcha_type=captcha_type, files=given, options=options))
        for archive in (one for one in files if one not in plain):
            total.add(importing.import_zip(captcha_type=captcha_type, archive=archive, options=options))
    except OSError as error:
        detail = f"Images cannot be stored now ({error.strerror}). What was taken stays: send the rest later."
        return JsonResponse({"code": "storage", "detail": detail}, status=507)
    refresh_predictions(captcha_type=captcha_type)
    return JsonResponse(asdict(total))


@require_safe
@login_required
@never_cache
def datasets_(request: HttpRequest, slug: str) -> HttpResponse:
    """The frozen data sets, what a new one would hold, and the ways to take the labels away."""
    captcha_type = managed_type(request, slug)
    frozen = list(Dataset.objects.filter(captcha_type=captcha_type).select_related("made_by"))
    change, problem = None, ""
    if frozen:
        try:
            change = datasets.change_since(frozen[0])
        except datasets.CannotFreeze as error:
            problem = str(error)
    facts = datasets.facts_of(captcha_type)
    most = max(facts["characters"].values(), default=0)
    context = {
        "type": captcha_type,
        "frozen": frozen,
        "folders": [(one, datasets.folder_of(one)) for one in frozen],
        "change": change,
        "problem": problem,
        "facts": facts,
        "most": most,
        "formats": exporting.FORMATS.values(),
        **_training(request, captcha_type, frozen[0] if frozen else None),
    }
    return render(request, "labeling/datasets.html", context)


def _training(request: HttpRequest, captcha_type: CaptchaType, newest: Dataset | None) -> dict[str, Any]:
    """What the page shows of the last training, and of what came out of it."""
    run = training.last_training(captcha_type)
    return {
        "run": run,
        "shown": as_shown(run, request.user) if run else None,
        "state_url": reverse("labeling:training-state", args=[captcha_type.slug]),
        "may_cancel": run is not None and may_cancel(request.user, run),
        "minutes": training.MINUTES,
        "candidate": training.candidate_of(captcha_type),
        "may_promote": training.may_promote(request.user, captcha_type),
        "command": training.command_to_type(captcha_type, newest),
    }


@require_POST
@login_required
def freeze(request: HttpRequest, slug: str) -> HttpResponse:
    captcha_type = staffs_type(request, slug)
    try:
        dataset, new = datasets.freeze(captcha_type=captcha_type, by=request.user)
    except datasets.CannotFreeze as error:
        messages.error(request, str(error))
    else:
        said = "was frozen" if new else "holds the same content already; nothing new was frozen"
        messages.success(request, f"Data set {dataset.number} {said}.")
    return redirect("labeling:datasets", slug)


@require_POST
@login_required
def train(request: HttpRequest, slug: str) -> HttpResponse:
    captcha_type = staffs_type(request, slug)
    minutes = next((one for one in training.MINUTES if str(one) == request.POST.get("minutes")), 3)
    try:
        _, dataset = training.train(captcha_type=captcha_type, by=request.user, minutes=minutes)
    except datasets.CannotFreeze as error:
        messages.error(request, str(error))
    except AlreadyRunning:
        messages.error(request, "A training of this type is under way.")
    except NoTrainingPython as missing:
        messages.error(request, str(missing))
    else:
        messages.success(request, f"A training on data set {dataset.number} was started.")
    return redirect("labeling:datasets", slug)


@require_safe
@never_cache
def training_state(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the last training is, for the page that looks every second."""
    if not request.user.is_authenticated:
        raise Http404
    captcha_type = managed_type(request, slug)
    recover_lost()
    run = training.last_training(captcha_type)
    if run is None:
        raise Http404
    return JsonResponse(as_shown(run, request.user))


@require_POST
@login_required
def promote(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a candidate serve, by the gate, or against it with a reason."""
    captcha_type = managed_type(request, slug)
    number = _start(request.POST.get("version", ""))
    if not training.may_promote(request.user, captcha_type):
        raise Http404
    try:
        promoted = training.promote_and_read(
            captcha_type=captcha_type,
            number=number,
            reason=request.POST.get("reason", "").strip()[:300],
            force=request.POST.get("force") == "1",
            by=request.user,
        )
    except ModelVersion.DoesNotExist as error:
        raise Http404 from error
    except RegistryError as error:
        messages.error(request, str(error))
    else:
        names = ", ".join(map(str, promoted))
        messages.success(request, f"{names} serves now, and reads the images that wait.")
    return redirect("labeling:datasets", slug)


@require_safe
@login_required
@never_cache
def export(request: HttpRequest, slug: str, to: str) -> HttpResponseBase:
    captcha_type = managed_type(request, slug)
    chosen = exporting.FORMATS.get(to)
    if chosen is None:
        raise Http404
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    exporting.export(captcha_type=captcha_type, to=chosen, stream=stream)
    stream.seek(0)
    return FileResponse(stream, as_attachment=True, filename=f"{captcha_type.slug}-{chosen.filename}")


@require_safe
@login_required
@never_cache
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """Disagreements, flagged and unreadable images, each with what was said about it."""
    captcha_type = managed_type(request, slug)
    samples = (
        Sample.objects.filter(captcha_type=captcha_type, status__in=PUT_ASIDE)
        .order_by("status", "pk")
        .prefetch_related("labels__person")[:AT_ONCE]
    )
    rows = [
        {"sample": sample, "labels": [_said(label) for label in sample.labels.all()]} for sample in samples
    ]
    return render(request, "labeling/review.html", {"type": captcha_type, "rows": rows})


@require_POST
@login_required
def settle(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """A manager's word on one image: its text, unreadable, or that everybody may read it again."""
    captcha_type = managed_type(request, slug)
    sample = get_object_or_404(Sample, captcha_type=captcha_type, pk=pk)
    action = request.POST.get("action")
    try:
        if action == "reopen":
            services.reopen(sample=sample)
        elif action in ("text", "unreadable"):
            text = request.POST.get("text", "") if action == "text" else None
            services.resolve(sample=sample, person=request.user, text=text)
    except RuleBroken as broken:
        messages.error(request, f"The text does not fit this type: {broken}.")
    return redirect("labeling:review", slug)


@require_safe
@login_required
def sample_image(request: HttpRequest, slug: str, pk: int) -> HttpResponseBase:
    return send_image(get_object_or_404(Sample, captcha_type=managed_type(request, slug), pk=pk))


def _start(text: str) -> int:
    """How many images of an archive were dealt with before; 0 for what is no such number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _said(label: Any) -> str:
    who = label.person.get_username() if label.person else "import"
    gone = " (taken back)" if label.undone_at else ""
    return f"{who}: {label.text or label.get_kind_display()}{gone}"
