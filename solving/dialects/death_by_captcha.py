"""The DeathByCaptcha dialect. This one uses HTTP status codes, and its clients ask for a text without a key.

`authtoken`, or `password` beside any `username`, is an API key of ours: a log-in's password would cost a
quarter of a second of hashing in each call.
"""

import json
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts.client_address import client_network
from accounts.models import ApiKey
from solving import reports
from solving.dialects import errors, lenient, tasks
from solving.dialects.errors import Code, DialectError, speaks
from solving.models import Solve, SolveReport
from solving.throttles import count_request


def render_error(request: HttpRequest, code: Code, text: str) -> HttpResponse:
    status = code.status if code.status >= 400 else 400
    return _answer({"status": 255, "error": code.name, "message": text}, status=status)


@speaks(render_error)
def upload(request: HttpRequest) -> HttpResponse:
    """Solve the image in `captchafile`, a file or ``base64:…``."""
    parameters = lenient.parameters_of(request, images=1)
    key = _key(request, parameters, counted="solve")
    given = parameters.get("captchafile")
    if given is None:
        raise DialectError(errors.NO_UPLOAD)
    if isinstance(given, bytes) and given.startswith(b"base64:"):
        given = given.decode("ascii", errors="replace")
    if isinstance(given, str):
        given = given.removeprefix("base64:")
    hints = tasks.hints_of(captcha_type=parameters.get("captcha_type"), user_id=key.user_id)
    task = tasks.solve(api_key=key, images=[lenient.image_of(given)], hints=hints, shown_by_id=True)
    return _answer(_described(task.solves[0], is_correct=task.solved))


@speaks(render_error)
def captcha(request: HttpRequest, pk: int) -> HttpResponse:
    """One text: any of the caller's where a key is sent; else one of this dialect's, by its id alone.

    Nobody can guess an id, and clients of this dialect send nothing else.
    """
    given = _credential(request, lenient.parameters_of(request))
    if given:
        visible = Q(user_id=tasks.key_of(request, given, "solve").user_id)
    else:
        count_request("user", client_network(request) or "local")
        visible = Q(shown_by_id=True)
    solve = Solve.objects.filter(visible, pk=pk).first()
    if solve is None:
        raise DialectError(errors.NO_TASK)
    wrong = SolveReport.objects.filter(solve=solve, verdict=reports.Verdict.INCORRECT).exists()
    return _answer(_described(solve, is_correct=solve.outcome == Solve.Outcome.SOLVED and not wrong))


@speaks(render_error)
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell that a text is wrong."""
    key = _key(request, lenient.parameters_of(request), counted="user")
    task = tasks.find(user_id=key.user_id, task_id=str(pk))
    if task.solved:
        tasks.report(api_key=key, task=task, verdict=reports.Verdict.INCORRECT)
    return _answer(_described(task.solves[0], is_correct=False))


@speaks(render_error)
def user(request: HttpRequest) -> HttpResponse:
    """Who is calling; a credit counts as a US cent."""
    key = _key(request, lenient.parameters_of(request), counted="user")
    balance = key.user.credit_account.balance
    body = {
        "user": key.user_id,
        "rate": settings.SOLVE_PRICE,
        "balance": balance,
        "is_banned": False,
        "status": 0,
    }
    return _answer(body)


@speaks(render_error)
def no_such_address(request: HttpRequest) -> HttpResponse:
    """Whatever else is asked below this dialect's addresses."""
    slash = " No address ends in a slash." if request.path_info.endswith("/") else ""
    raise DialectError(errors.NO_METHOD, f"There is nothing at this address.{slash}")


def _key(request: HttpRequest, parameters: dict[str, Any], *, counted: str) -> ApiKey:
    return tasks.key_of(request, _credential(request, parameters), "solve", counted=counted)


def _credential(request: HttpRequest, parameters: dict[str, Any]) -> Any:
    """What is sent as a key, if anything is: as this dialect's clients do it, or as programs of ours do."""
    scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    header = text.strip() if scheme.lower() == "api-key" else ""
    return parameters.get("authtoken") or parameters.get("password") or header


def _described(solve: Solve, *, is_correct: bool) -> dict[str, Any]:
    """`?` is this dialect's text for what cannot be read: on an empty one its clients go on asking."""
    return {"status": 0, "captcha": solve.pk, "text": solve.answer or "?", "is_correct": is_correct}


def _answer(body: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(body), status=status, content_type="application/json")
