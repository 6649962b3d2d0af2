"""The pages of private types. Who neither owns one nor is staff meets a 404, as for one that is not there."""

import uuid

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.credits import InsufficientCredits
from accounts.sessions import session_user
from jobs.selectors import as_shown
from jobs.services import launch_overdue, recover_lost
from labeling import training
from ml.models import CaptchaType, ModelVersion
from ml.services import RegistryError
from own_types import selectors, services, trainings
from own_types.errors import OwnTypeError
from own_types.forms import TypeForm

GET_AND_POST = ["GET", "HEAD", "POST"]


def visible_type(request: HttpRequest, slug: str) -> CaptchaType:
    """For its owner and, to look at, for staff. Raises Http404."""
    captcha_type = selectors.type_for(session_user(request), slug)
    if captcha_type is None:
        raise Http404
    return captcha_type


def own(request: HttpRequest, slug: str) -> CaptchaType:
    """For its owner alone. Raises Http404."""
    captcha_type = visible_type(request, slug)
    if captcha_type.owner_id != request.user.pk:
        raise Http404
    return captcha_type


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def types(request: HttpRequest) -> HttpResponse:
    """One's own types, and the form that opens another one."""
    user = session_user(request)
    form = TypeForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST":
        opened = form.open()
        if opened is not None:
            messages.success(request, f"{opened.title} is open: bring images of it.")
            return redirect("own-type", opened.slug)
    trainings.settle_all(user=user)
    mine = list(selectors.types_of(user))
    rows = [
        {
            "type": one,
            "labels": selectors.labels_of(one),
            "training": selectors.last_training(one),
            "serving": one.versions.filter(state=ModelVersion.State.SERVING).first(),
        }
        for one in mine
    ]
    user.credit_account.refresh_from_db()
    context = {
        "form": form,
        "rows": rows,
        "price": settings.TRAINING_PRICE,
        "balance": user.credit_account.balance,
        "needs_approval": settings.PRIVATE_TYPES_NEED_APPROVAL,
        "most": settings.PRIVATE_TYPES_PER_USER,
        "full": len(mine) >= settings.PRIVATE_TYPES_PER_USER,
    }
    return render(request, "own_types/types.html", context, status=400 if form.errors else 200)


@require_safe
@login_required
@never_cache
def own_type(request: HttpRequest, slug: str) -> HttpResponse:
    """From the first image to the reader that serves: what there is, what is missing, what comes next."""
    captcha_type = visible_type(request, slug)
    user, mine = session_user(request), captcha_type.owner_id == request.user.pk
    trainings.settle_all(user=captcha_type.owner)
    last = selectors.last_training(captcha_type)
    run = last.run if last is not None else None
    user.credit_account.refresh_from_db()
    context = {
        "type": captcha_type,
        "mine": mine,
        "labels": selectors.labels_of(captcha_type),
        "most_images": settings.PRIVATE_TYPE_IMAGES,
        "most_bytes": settings.PRIVATE_TYPE_BYTES,
        "price": settings.TRAINING_PRICE,
        "minutes": settings.TRAINING_MINUTES,
        "balance": user.credit_account.balance,
        "key": uuid.uuid4(),
        "untrainable": bool(training.command_to_type(captcha_type, None)),
        "needs_approval": selectors.needs_approval(captcha_type),
        "asked": hasattr(captcha_type, "approval"),
        "training": last,
        "run": run,
        "shown": as_shown(run, user) if run else None,
        "state_url": reverse("own-training-state", args=[slug]),
        "candidate": training.candidate_of(captcha_type),
        "serving": captcha_type.versions.filter(state=ModelVersion.State.SERVING).first(),
        "figures": selectors.figures_of(captcha_type),
        "base_url": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "own_types/type.html", context)


@require_POST
@login_required
def train(request: HttpRequest, slug: str) -> HttpResponse:
    """Order a training. The form's key makes a second press the same order."""
    captcha_type = own(request, slug)
    try:
        key = uuid.UUID(request.POST.get("key", ""))
        placed = trainings.order(user=session_user(request), captcha_type=captcha_type, key=key)
    except ValueError:
        messages.error(
            request, "The form was damaged on its way; nothing was charged. Press the button again."
        )
    except OwnTypeError as error:
        messages.warning(request, str(error))
    except InsufficientCredits as error:
        messages.error(request, f"{error} Nothing was charged. Whoever runs this service can add some.")
    else:
        messages.success(request, f"A training was ordered for {placed.price} credits.")
    return redirect("own-type", slug)


@require_safe
@never_cache
def training_state(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the last training is, for the page that looks every second: it notices what nobody runs."""
    if not request.user.is_authenticated:
        raise Http404
    captcha_type = visible_type(request, slug)
    recover_lost()
    launch_overdue()
    placed = selectors.last_training(captcha_type)
    if placed is None or placed.run is None:
        raise Http404
    trainings.settle(placed)
    return JsonResponse(as_shown(placed.run, request.user))


@require_POST
@login_required
def cancel(request: HttpRequest, slug: str) -> HttpResponse:
    placed = selectors.last_training(own(request, slug))
    if placed is not None and placed.state == placed.State.UNDER_WAY:
        trainings.cancel(placed)
        messages.success(request, "The training is stopped; its credits come back unless a version is there.")
    return redirect("own-type", slug)


@require_POST
@login_required
def promote(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a version serve, by the gate, or against it with a reason."""
    captcha_type = own(request, slug)
    number = request.POST.get("version", "")
    try:
        training.promote_and_read(
            captcha_type=captcha_type,
            number=int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0,
            reason=request.POST.get("reason", "").strip()[:300],
            force=request.POST.get("force") == "1",
            by=request.user,
        )
    except ModelVersion.DoesNotExist as error:
        raise Http404 from error
    except RegistryError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Version {number} serves now: name the type {slug} to have it read.")
    return redirect("own-type", slug)


@require_http_methods(GET_AND_POST)
@login_required
@never_cache
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what goes, and delete it once the type's name was typed."""
    captcha_type = own(request, slug)
    wrong = False
    if request.method == "POST":
        wrong = request.POST.get("name", "").strip() != slug
        if not wrong:
            services.delete_type(captcha_type=captcha_type)
            messages.success(
                request, f"{captcha_type.title} is deleted, with its images, labels and versions."
            )
            return redirect("own-types")
    context = {
        "type": captcha_type,
        "labels": selectors.labels_of(captcha_type),
        "versions": captcha_type.versions.count(),
        "wrong": wrong,
    }
    return render(request, "own_types/delete.html", context, status=400 if wrong else 200)
