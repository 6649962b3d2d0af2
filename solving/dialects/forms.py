"""The form dialect: in.php and res.php. Always HTTP 200, plain text or, with json=1, JSON.

in.php solves at once; the id it gives is that of the solve, and res.php answers from the history.
"""

import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from solving import reports
from solving.dialects import errors, lenient, tasks
from solving.dialects.errors import Code, DialectError, speaks
from solving.dialects.tasks import Message, Task

_METHODS = ("", "post", "base64")
_MAX_IDS = 100


def render_error(request: HttpRequest, code: Code, text: str) -> HttpResponse:
    if not _wants_json(request):
        return HttpResponse(code.form, content_type="text/plain; charset=utf-8")
    body = {"status": 0, "request": code.form, "error_text": text}
    return HttpResponse(json.dumps(body), content_type="application/json")


@speaks(render_error)
def submit(request: HttpRequest) -> HttpResponse:
    """in.php: an image in, the id of its solve out."""
    parameters = _parameters(request, images=1)
    key = tasks.key_of(request, parameters.get("key"), "solve", counted="solve")
    if lenient.text(parameters.get("method")).lower() not in _METHODS:
        raise DialectError(errors.TASK_TYPE)
    hints = tasks.hints_of(
        numeric=parameters.get("numeric"),
        min_length=parameters.get("min_len"),
        max_length=parameters.get("max_len"),
        math=parameters.get("calc"),
        captcha_type=parameters.get("captcha_type"),
        user_id=key.user_id,
    )
    task = tasks.solve(
        api_key=key,
        images=[_image(parameters)],
        hints=hints,
        callback_url=tasks.callback_url_of(parameters.get("pingback")),
        describe=_message,
    )
    return _answer(request, str(task.id), parameters)


@speaks(render_error)
def result(request: HttpRequest) -> HttpResponse:
    """res.php: texts, the balance, reports."""
    parameters = _parameters(request)
    action = lenient.text(parameters.get("action")).lower()
    poll = action in ("get", "get2")
    key = tasks.key_of(request, parameters.get("key"), "solve", counted=None if poll else "user")
    if action == "getbalance":
        return _answer(request, str(key.user.credit_account.balance), parameters, bare=True)
    if action in ("reportgood", "reportbad"):
        verdict = reports.Verdict.CORRECT if action == "reportgood" else reports.Verdict.INCORRECT
        task = tasks.find(user_id=key.user_id, task_id=parameters.get("id"))
        tasks.report(api_key=key, task=task, verdict=verdict)
        return _answer(request, "OK_REPORT_RECORDED", parameters, bare=True)
    if not poll:
        raise DialectError(errors.NO_METHOD)
    if parameters.get("ids"):
        return _several(request, key.user_id, parameters)
    task = tasks.find(user_id=key.user_id, task_id=parameters.get("id"))
    text = _text_of(task)
    if action == "get":
        return _answer(request, text, parameters)
    if _wants_json(request):
        body = {"status": 1, "request": text, "price": str(task.charged)}
        return _with_access(HttpResponse(json.dumps(body), content_type="application/json"), parameters)
    return _answer(request, f"{text}|{task.charged}", parameters)


def _message(task: Task) -> Message:
    """What a pingback says."""
    code = _text_of(task) if task.solved else errors.UNSOLVABLE.form
    return Message(urlencode({"id": task.id, "code": code}).encode(), "application/x-www-form-urlencoded")


def _several(request: HttpRequest, user_id: int, parameters: dict[str, Any]) -> HttpResponse:
    """The texts of `ids=1,2,3`, in order, an error's word in the place of what has none."""
    words = []
    for one in lenient.text(parameters["ids"]).split(",")[:_MAX_IDS]:
        try:
            words.append(_text_of(tasks.find(user_id=user_id, task_id=one)))
        except DialectError as error:
            words.append(error.code.form)
    return _answer(request, "|".join(words), parameters, bare=True)


def _text_of(task: Task) -> str:
    if not task.solved:
        raise DialectError(errors.UNSOLVABLE, task.reason)
    return ",".join(solve.answer for solve in task.solves)


def _image(parameters: dict[str, Any]) -> bytes:
    """The file, or the base64 text of `body` or of a field that should have been a file."""
    given = parameters.get("file") or parameters.get("body")
    if given is None:
        raise DialectError(errors.NO_UPLOAD)
    return lenient.image_of(given)


def _parameters(request: HttpRequest, *, images: int = 0) -> dict[str, Any]:
    parameters = lenient.parameters_of(request, images=images)
    # An error after this is rendered by the request, and wants to know what the body said.
    request.dialect_parameters = parameters  # type: ignore[attr-defined]
    return parameters


def _wants_json(request: HttpRequest) -> bool:
    parameters = getattr(request, "dialect_parameters", request.GET)
    return lenient.truth(parameters.get("json"))


def _answer(
    request: HttpRequest, text: str, parameters: dict[str, Any], *, bare: bool = False
) -> HttpResponse:
    if _wants_json(request):
        body = json.dumps({"status": 1, "request": text})
        return _with_access(HttpResponse(body, content_type="application/json"), parameters)
    plain = text if bare else f"OK|{text}"
    return _with_access(HttpResponse(plain, content_type="text/plain; charset=utf-8"), parameters)


def _with_access(response: HttpResponse, parameters: dict[str, Any]) -> HttpResponse:
    """Readable by scripts of any page, if asked for: the key is in the request, never in a cookie."""
    if lenient.truth(parameters.get("header_acao")):
        response["Access-Control-Allow-Origin"] = "*"
    return response
