"""What can be read: the types, their models, how well each version does; for staff the way to another one."""

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from captcha_site import charts
from captcha_site.labelled_pictures import own_samples, picture_addresses
from ml import kept_curves, services
from ml.models import GENERAL_SLUG, TYPES_SLUG, CaptchaType, Evaluation, JudgedImage, ModelVersion
from ml.recognition.metrics import confusions
from ml.selectors import TITLES, accuracy_of, serving_models, visible_types
from solving.samples import sample_of

SAMPLES_SHOWN = 6
ERRORS_SHOWN = 24


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Everything that serves this person now."""
    rows = [{"model": one, "sample": sample_of(one.slug)} for one in serving_models(request.user.pk)]
    return render(request, "types/list.html", {"rows": rows})


@require_safe
def model(request: HttpRequest, slug: str) -> HttpResponse:
    """One type, or one of the two models that belong to none; a private type is there for its owner alone."""
    captcha_type = visible_type(request, slug)
    versions = list(
        ModelVersion.objects.filter(slug=slug).prefetch_related(
            Prefetch("evaluations", Evaluation.objects.order_by("-created"))
        )
    )
    serving = next((one for one in versions if one.state == ModelVersion.State.SERVING), None)
    may_change = request.user.is_staff and request.user.has_perm("ml.change_modelversion")
    curve = kept_curves.newest_curve(slug)
    context = {
        "slug": slug,
        "title": captcha_type.title if captcha_type else TITLES[slug],
        "type": captcha_type,
        "sample": sample_of(slug),
        "own_samples": own_samples(request.user, captcha_type, most=SAMPLES_SHOWN) if captcha_type else [],
        "general": slug == GENERAL_SLUG,
        "tells_types": slug == TYPES_SLUG,
        "versions": [(one, accuracy_of(one.metrics)) for one in versions],
        "serving": serving,
        "may_change": may_change,
        "may_compare": may_compare(request),
        "before": services.version_before(slug) if may_change else None,
        "curve": curve,
        "curve_chart": charts.curve_chart(curve.points) if curve else None,
        **_confusions(serving),
        **(_errors(request, serving) if serving and may_compare(request) else {}),
    }
    return render(request, "types/type.html", context)


def visible_type(request: HttpRequest, slug: str) -> CaptchaType | None:
    """The type of a slug, None for the models of no type. Raises Http404 for somebody else's."""
    if slug in TITLES:
        return None
    captcha_type = visible_types(request.user.pk).filter(slug=slug, active=True).first()
    if captcha_type is None:
        raise Http404
    return captcha_type


def may_compare(request: HttpRequest) -> bool:
    """Staff who may look at versions; the images that versions err on are for nobody else."""
    return bool(request.user.is_staff and request.user.has_perm("ml.view_modelversion"))


def _confusions(serving: ModelVersion | None) -> dict[str, Any]:
    """What the serving version confused where its accuracy was measured; nothing of a type model."""
    accuracy = accuracy_of(serving.metrics) if serving else None
    figures = serving.metrics.get(accuracy.measured_on, {}) if serving and accuracy else {}
    if "confusions" not in figures:
        return {}
    return {"confusions": charts.confusion_matrix(figures["confusions"]), "accuracy": accuracy}


def _errors(request: HttpRequest, serving: ModelVersion) -> dict[str, Any]:
    """What the serving version got wrong in its newest evaluation of which the images were stored."""
    stored = Exists(JudgedImage.objects.filter(evaluation=OuterRef("pk")))
    evaluation = serving.evaluations.filter(stored).order_by("-created", "-id").first()
    if evaluation is None:
        return {}
    wrong = list(evaluation.images.filter(right=False).order_by("-confidence", "pk"))
    addresses = picture_addresses(request.user, (one.data_hash for one in wrong[:ERRORS_SHOWN]))
    pairs = (
        [] if serving.kind == ModelVersion.Kind.TYPES else [(one.truth, one.read or None) for one in wrong]
    )
    return {
        "evaluation": evaluation,
        "wrong": [(one, addresses.get(one.data_hash)) for one in wrong[:ERRORS_SHOWN]],
        "wrong_more": max(0, len(wrong) - ERRORS_SHOWN),
        "wrong_confusions": charts.confusion_matrix(confusions(pairs)),
    }
