"""The labelling pages and the calls that they make. Whoever has no part in a type meets a 404."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from labeling import queue, selectors, services
from labeling.errors import LabelingError, Malformed
from labeling.models import Assignment, Label, Mode, Sample
from labeling.predictions import refresh_predictions
from labeling.rules import LabelRules
from ml.models import CaptchaType

MAX_OPERATIONS = 100
"""Saves and undos in one call; a page that comes back from a long time offline makes several."""
IMAGE_SECONDS = 24 * 3600

View = Callable[..., HttpResponseBase]


def call(view: View) -> View:
    """A call of the page: JSON in, JSON out, 401 when the session is over, errors with code and detail."""

    @wraps(view)
    def answer(request: HttpRequest, slug: str, **more: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _error(401, "session_expired", "You are no longer logged in.")
        try:
            return view(request, visible_type(request, slug), _body(request), **more)
        except LabelingError as error:
            return _error(error.status, error.code, str(error))
        except Http404:
            return _error(404, "not_found", "There is nothing at this address.")

    return require_POST(never_cache(answer))


def visible_type(request: HttpRequest, slug: str) -> CaptchaType:
    """Raises Http404 for a type that this person may not label, as for one that does not exist."""
    captcha_type = selectors.type_for(request.user, slug)
    if captcha_type is None:
        raise Http404
    return captcha_type


@require_safe
@login_required
@never_cache
def types(request: HttpRequest) -> HttpResponse:
    """The types that the person may label, with how far they are."""
    rows = [
        {
            "type": one,
            "progress": selectors.progress(one, request.user),
            "manages": selectors.manages(request.user, one),
            "paused": list(selectors.paused_memberships(one)),
        }
        for one in selectors.types_of(request.user)
    ]
    return render(request, "labeling/types.html", {"rows": rows})


@require_safe
@login_required
@never_cache
@ensure_csrf_cookie
def label(request: HttpRequest, slug: str) -> HttpResponse:
    """The page on which people type; everything else it fetches by itself."""
    captcha_type = visible_type(request, slug)
    mode = request.GET.get("mode", Mode.VERIFY)
    if mode not in (Mode.TYPE, Mode.VERIFY, Mode.GRID, Mode.DISAGREEMENT):
        raise Http404
    rules = LabelRules.of(captcha_type)
    context = {
        "type": captcha_type,
        "rules": rules,
        "mode": mode,
        "modes": [Mode.TYPE, Mode.VERIFY, Mode.GRID, Mode.DISAGREEMENT],
        "manages": selectors.manages(request.user, captcha_type),
        "progress": selectors.progress(captcha_type, request.user),
        "login_url": settings.LOGIN_URL,
    }
    return render(request, "labeling/label.html", context)


@call
def claim(request: HttpRequest, captcha_type: CaptchaType, body: dict[str, Any]) -> HttpResponse:
    mode = _one_of(body, "mode", (Mode.TYPE, Mode.VERIFY, Mode.GRID, Mode.DISAGREEMENT))
    refresh_predictions(captcha_type=captcha_type)
    items = queue.claim(
        captcha_type=captcha_type,
        person=request.user,
        session=_uuid(body, "session"),
        mode=mode,
        count=_number(body, "count", queue.AT_ONCE),
        left=_uuid(body, "left") if body.get("left") is not None else None,
    )
    progress = selectors.progress(captcha_type, request.user)
    return JsonResponse({"items": [asdict(item) for item in items], "progress": progress.as_dict()})


@call
def operations(request: HttpRequest, captcha_type: CaptchaType, body: dict[str, Any]) -> HttpResponse:
    """Saves and undos in the order in which they were made, each with what became of it."""
    session, given = _uuid(body, "session"), body.get("operations")
    if not isinstance(given, list) or len(given) > MAX_OPERATIONS:
        raise Malformed(f"operations must be a list of at most {MAX_OPERATIONS}.")
    outcomes = [_operate(request.user, captcha_type, session, one) for one in given]
    return JsonResponse({"outcomes": [asdict(outcome) for outcome in outcomes]})


@call
def release(request: HttpRequest, captcha_type: CaptchaType, body: dict[str, Any]) -> HttpResponse:
    return JsonResponse({"released": queue.release(person=request.user, session=_uuid(body, "session"))})


@require_safe
def image(request: HttpRequest, assignment: uuid.UUID) -> HttpResponseBase:
    """The image of an assignment, for the person it was given to."""
    if not request.user.is_authenticated:
        return _error(401, "session_expired", "You are no longer logged in.")
    given = Assignment.objects.filter(pk=assignment, person=request.user).select_related(
        "sample__captcha_type"
    )
    row = given.first()
    if row is None or selectors.type_for(request.user, row.sample.captcha_type.slug) is None:
        raise Http404
    return send_image(row.sample)


def send_image(sample: Sample) -> HttpResponseBase:
    try:
        file = sample.image.open("rb")
    except OSError as error:
        raise Http404 from error
    response = FileResponse(file, filename=sample.image.name or "")
    response["Cache-Control"] = f"private, max-age={IMAGE_SECONDS}, immutable"
    return response


def _operate(person: Any, captcha_type: CaptchaType, session: uuid.UUID, one: Any) -> services.Outcome:
    if not isinstance(one, dict):
        raise Malformed("An operation must be an object.")
    about: dict[str, Any] = {
        "person": person,
        "captcha_type": captcha_type,
        "session": session,
        "save_id": _uuid(one, "save_id"),
        "assignment_id": _uuid(one, "assignment"),
    }
    if _one_of(one, "operation", ("save", "undo")) == "undo":
        return services.undo(**about)
    text = one.get("text", "")
    if not isinstance(text, str):
        raise Malformed("text must be a string.")
    return services.save(
        **about,
        kind=_one_of(one, "kind", Label.Kind.values),
        text=text,
        seconds=_number(one, "seconds", 0.0),
    )


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Malformed("The body is not a JSON object.")
    return body


def _uuid(body: dict[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(body[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"{name} must be a UUID.") from error


def _one_of(body: dict[str, Any], name: str, choices: Any) -> str:
    value = body.get(name)
    if not isinstance(value, str) or value not in choices:
        raise Malformed(f"{name} must be one of {', '.join(choices)}.")
    return value


def _number(body: dict[str, Any], name: str, default: Any) -> Any:
    """A finite number of the type of `default`."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise Malformed(f"{name} must be a number.")
    return type(default)(value)


def _error(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"code": code, "detail": detail}, status=int(status))
