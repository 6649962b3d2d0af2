"""One call of the service, apart from how it is sent: what to send, what comes of it, when to try again."""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar

import httpx

from . import shapes
from .shapes import Account, ApiError, Batch, Report, Solution, Unsolvable

Answer = TypeVar("Answer")

MAX_BATCH = 64
LONGEST_PAUSE = 30.0
"""Seconds between two attempts at most, whatever is asked for."""
_AGAIN = {429, 502, 503, 504}


class Hints(TypedDict, total=False):
    """What is known of an image beforehand; an answer never violates it."""

    captcha_type: str
    numeric: str
    min_length: int
    max_length: int
    case: str
    alphabet: str
    math: bool
    min_confidence: float


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """`repeatable`: sent again after a lost connection, it does nothing twice."""

    method: str
    path: str
    read: Callable[[Mapping[str, Any]], Answer]
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    repeatable: bool = True


def solve(image: bytes, hints: Hints) -> Call[Solution]:
    return Call(
        "POST",
        "/api/v1/solves",
        lambda body: shapes.read_solve(Solution, body),
        json=_member(image, hints),
        headers=_once(),
    )


def solve_batch(images: Sequence[bytes], hints: Hints) -> Call[Batch]:
    if not 1 <= len(images) <= MAX_BATCH:
        raise ValueError(f"a batch has 1 to {MAX_BATCH} images, not {len(images)}")
    members = [_member(image, hints) for image in images]
    return Call("POST", "/api/v1/solves/batch", shapes.read_batch, json={"images": members}, headers=_once())


def report(solve_id: int, verdict: str, correction: str) -> Call[Report]:
    body = {"verdict": verdict, "correction": correction}
    path = f"/api/v1/solves/{int(solve_id)}/report"
    return Call("POST", path, lambda told: shapes.read(Report, told), json=body, repeatable=False)


def account() -> Call[Account]:
    return Call("GET", "/api/v1/account", lambda body: shapes.read(Account, body))


def headers(api_key: str | None, token: str | None) -> dict[str, str]:
    if (api_key is None) == (token is None):
        raise ValueError("give an API key or a token")
    return {"Authorization": f"Api-Key {api_key}" if api_key else f"Bearer {token}"}


def answer_of(call: Call[Answer], response: httpx.Response) -> Answer:
    """Raises ApiError."""
    if response.is_success:
        return call.read(response.json())
    raise _error_of(response)


def pause_after(
    call: Call[Any], outcome: httpx.Response | httpx.TransportError, attempt: int
) -> float | None:
    """Seconds until the next attempt; None where there is no sense in one. Attempts count from 0."""
    growing = min(0.25 * 2**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1)
    if isinstance(outcome, httpx.TransportError):
        return growing if call.repeatable or isinstance(outcome, httpx.ConnectError) else None
    if outcome.status_code in _AGAIN or _error_of(outcome).code == "idempotency_key_in_use":
        asked = _error_of(outcome).retry_after
        return min(max(growing, asked or 0), LONGEST_PAUSE)
    return None


def _error_of(response: httpx.Response) -> ApiError:
    try:
        body = response.json()
    except ValueError:  # a proxy's page
        body = {}
    if not isinstance(body, dict):
        body = {}
    code = str(body.get("code", ""))
    kind = Unsolvable if code == "unsolvable" else ApiError
    detail = str(body.get("detail", f"HTTP {response.status_code}"))
    try:
        retry_after = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        retry_after = None
    return kind(response.status_code, code, detail, retry_after, body)


def _member(image: bytes, hints: Hints) -> dict[str, Any]:
    return {"image": base64.b64encode(image).decode(), **hints}


def _once() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}
