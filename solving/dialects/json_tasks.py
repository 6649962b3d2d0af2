"""The JSON dialect: createTask and getTaskResult, as clients of several commercial services speak it.

Always HTTP 200. createTask solves at once and answers with `status: "ready"` and exactly these keys, as one
client crashes on any further one; getTaskResult answers the same afterwards.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.client_address import client_address
from accounts.models import ApiKey
from solving import reports, selectors
from solving.dialects import errors, lenient, tasks
from solving.dialects.errors import Code, DialectError, speaks
from solving.dialects.tasks import Message, Task

_NO_ERROR = {"errorId": 0, "errorCode": "", "errorDescription": ""}
_DAY = timedelta(hours=24)
_LATEST = 2**33


def render_error(request: HttpRequest, code: Code, text: str) -> HttpResponse:
    return _answer(
        {"errorId": code.number, "errorCode": code.name, "errorDescription": f"{code.name}: {text}"}
    )


@speaks(render_error)
def create_task(request: HttpRequest) -> HttpResponse:
    """Solve an ImageToTextTask. What cannot be solved is ERROR_CAPTCHA_UNSOLVABLE, and free."""
    body = lenient.parameters_of(request, images=tasks.MAX_IMAGES)
    key = tasks.key_of(request, body.get("clientKey"), "solve", counted="solve")
    asked = body.get("task")
    if not isinstance(asked, dict) or not asked:
        raise DialectError(errors.TASK_ABSENT)
    if not lenient.text(asked.get("type")).lower().startswith("imagetotexttask"):
        raise DialectError(errors.TASK_TYPE)
    images, several = _images(asked)
    address = client_address(request) or ""
    task = tasks.solve(
        api_key=key,
        images=images,
        hints=_hints(asked, key),
        several=several,
        callback_url=tasks.callback_url_of(body.get("callbackUrl") or asked.get("callbackUrl")),
        describe=lambda task: _message(task, address),
    )
    if not task.solved:
        raise DialectError(errors.UNSOLVABLE, task.reason)
    return _answer(_NO_ERROR | {"taskId": task.id, "status": "ready", "solution": _solution(task)})


@speaks(render_error)
def get_task_result(request: HttpRequest) -> HttpResponse:
    body = lenient.parameters_of(request)
    key = tasks.key_of(request, body.get("clientKey"), "solve")
    task = tasks.find(user_id=key.user_id, task_id=body.get("taskId"))
    if not task.solved:
        raise DialectError(errors.UNSOLVABLE, task.reason)
    return _answer(result_of(task) | {"ip": client_address(request) or ""})


@speaks(render_error)
def get_balance(request: HttpRequest) -> HttpResponse:
    body = lenient.parameters_of(request)
    key = tasks.key_of(request, body.get("clientKey"), "solve", counted="user")
    return _answer(_NO_ERROR | {"balance": key.user.credit_account.balance, "packages": []})


@speaks(render_error)
def report_correct(request: HttpRequest) -> HttpResponse:
    return _report(request, reports.Verdict.CORRECT)


@speaks(render_error)
def report_incorrect(request: HttpRequest) -> HttpResponse:
    return _report(request, reports.Verdict.INCORRECT)


@speaks(render_error)
def get_queue_stats(request: HttpRequest) -> HttpResponse:
    """There is no queue: one worker waits, and the price is what a solve costs."""
    price = settings.SOLVE_PRICE
    return _answer(_NO_ERROR | {"waiting": 1, "load": 0, "bid": price, "speed": 0.01, "total": 1})


@speaks(render_error)
def get_spending_stats(request: HttpRequest) -> HttpResponse:
    """Credits spent in each hour of 24, from `date` (seconds since 1970) or else until now."""
    body = lenient.parameters_of(request)
    key = tasks.key_of(request, body.get("clientKey"), "read", counted="user")
    since = lenient.whole(body.get("date"))
    start = datetime.fromtimestamp(since, UTC) if since and 0 < since < _LATEST else timezone.now() - _DAY
    hours = selectors.spent_by_hour(user_id=key.user_id, start=start, end=start + _DAY)
    data = [
        {
            "dateFrom": int(hour.start.timestamp()),
            "dateTill": int((hour.start + timedelta(hours=1)).timestamp()) - 1,
            "volume": hour.solves,
            "money": hour.credits,
        }
        for hour in hours
    ]
    return _answer(_NO_ERROR | {"data": data})


@speaks(render_error)
def test(request: HttpRequest) -> HttpResponse:
    """What was understood of the request, for whoever writes a client."""
    body = lenient.parameters_of(request)
    shown = {name: "(a file)" if isinstance(value, bytes) else value for name, value in body.items()}
    return _answer(_NO_ERROR | {"received": shown})


@speaks(render_error)
def no_such_method(request: HttpRequest) -> HttpResponse:
    raise DialectError(errors.NO_METHOD)


def result_of(task: Task) -> dict[str, Any]:
    """The answer of getTaskResult, apart from the asker's address."""
    first = task.solves[0]
    ended = first.created + timedelta(milliseconds=sum(solve.elapsed_ms for solve in task.solves))
    return _NO_ERROR | {
        "status": "ready",
        "solution": _solution(task),
        "cost": str(task.charged),
        "createTime": int(first.created.timestamp()),
        "endTime": int(ended.timestamp()),
        "solveCount": 1,
    }


def _message(task: Task, address: str) -> Message:
    """What a callback says: the answer of getTaskResult, and the task's id."""
    if task.solved:
        body = result_of(task) | {"ip": address}
    else:
        code = errors.UNSOLVABLE
        told = f"{code.name}: {task.reason}"
        body = {"errorId": code.number, "errorCode": code.name, "errorDescription": told}
    return Message(json.dumps(body | {"taskId": task.id}).encode(), "application/json")


def _solution(task: Task) -> dict[str, Any]:
    """A refused one of several is an empty text."""
    if not task.several:
        return {"text": task.solves[0].answer, "confidence": task.solves[0].confidence}
    confidences = [solve.confidence or 0 for solve in task.solves]
    return {"answers": [solve.answer for solve in task.solves], "confidence": min(confidences)}


def _images(task: Mapping[str, Any]) -> tuple[Sequence[bytes], bool]:
    """The image of `body`, or those of `images`; and whether it was a list."""
    several = task.get("images")
    if not several:
        return [lenient.image_of(task.get("body") or "")], False
    if not isinstance(several, list) or len(several) > tasks.MAX_IMAGES:
        raise DialectError(errors.PARAMETERS, f"images is a list of at most {tasks.MAX_IMAGES} texts.")
    return [lenient.image_of(one) for one in several], True


def _hints(task: Mapping[str, Any], key: ApiKey) -> tasks.Hints:
    module = task.get("module") or task.get("CapMonsterModule")
    numeric = task.get("numeric")
    if module == "number" and not numeric:  # one service's way to ask for digits
        numeric = 1
    return tasks.hints_of(
        numeric=numeric,
        min_length=task.get("minLength"),
        max_length=task.get("maxLength"),
        math=task.get("math"),
        min_confidence=_least_confidence(task),
        captcha_type=module,
        user_id=key.user_id,
    )


def _least_confidence(task: Mapping[str, Any]) -> float | None:
    """The stricter one of `recognizingThreshold`, in percent, and `score`, from 0 to 1."""
    percent, score = lenient.number(task.get("recognizingThreshold")), lenient.number(task.get("score"))
    given = [None if percent is None else percent / 100, score]
    return max((one for one in given if one is not None and 0 <= one <= 1), default=None)


def _report(request: HttpRequest, verdict: str) -> HttpResponse:
    body = lenient.parameters_of(request)
    key = tasks.key_of(request, body.get("clientKey"), "solve", counted="user")
    task = tasks.find(user_id=key.user_id, task_id=body.get("taskId"))
    tasks.report(api_key=key, task=task, verdict=verdict)
    return _answer(_NO_ERROR | {"status": "success"})


def _answer(body: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(json.dumps(body), content_type="application/json")
