"""What can be read: the types, their models, how well each version does; for staff the way to another one."""

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ml import services
from ml.models import GENERAL_SLUG, TYPES_SLUG, CaptchaType, Evaluation, ModelVersion
from ml.selectors import TITLES, accuracy_of, serving_models, visible_types
from solving.samples import sample_of


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """Everything that serves this person now."""
    rows = [{"model": one, "sample": sample_of(one.slug)} for one in serving_models(request.user.pk)]
    return render(request, "types/list.html", {"rows": rows})


@require_safe
def model(request: HttpRequest, slug: str) -> HttpResponse:
    """One type, or one of the two models that belong to none; a private type is there for its owner alone."""
    captcha_type: CaptchaType | None = None
    if slug not in TITLES:
        captcha_type = visible_types(request.user.pk).filter(slug=slug, active=True).first()
        if captcha_type is None:
            raise Http404
    versions = list(
        ModelVersion.objects.filter(slug=slug).prefetch_related(
            Prefetch("evaluations", Evaluation.objects.order_by("-created"))
        )
    )
    may_change = request.user.is_staff and request.user.has_perm("ml.change_modelversion")
    context = {
        "slug": slug,
        "title": captcha_type.title if captcha_type else TITLES[slug],
        "type": captcha_type,
        "sample": sample_of(slug),
        "general": slug == GENERAL_SLUG,
        "tells_types": slug == TYPES_SLUG,
        "versions": [(one, accuracy_of(one.metrics)) for one in versions],
        "may_change": may_change,
        "before": services.version_before(slug) if may_change else None,
    }
    return render(request, "types/type.html", context)
