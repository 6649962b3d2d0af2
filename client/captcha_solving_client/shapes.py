"""What the service answers with, as its OpenAPI document names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

Shape = TypeVar("Shape")


class ApiError(Exception):
    """A refusal. Decide by `code`, show `str(error)`; `retry_after` is in seconds, where the service said."""

    def __init__(
        self, status: int, code: str, detail: str, retry_after: float | None, body: Mapping[str, Any]
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.body = body


class Unsolvable(ApiError):
    """The image was looked at and not answered, at no charge; `reason_code` says why."""

    @property
    def reason_code(self) -> str:
        return str(self.body.get("reason_code", ""))


@dataclass(frozen=True)
class Character:
    char: str
    confidence: float


@dataclass(frozen=True)
class Solve:
    """`text` is what is written (`33+2=?`), `answer` what to type (`35`)."""

    id: int
    text: str
    answer: str
    captcha_type: str
    confidence: float | None
    characters: list[Character]
    model_version: str
    charged: int
    elapsed_ms: float


@dataclass(frozen=True)
class Solution(Solve):
    balance: int


@dataclass(frozen=True)
class ItemError:
    code: str
    detail: str


@dataclass(frozen=True)
class BatchItem:
    """`outcome` is solved, refused or failed."""

    outcome: str
    solve: Solve | None
    error: ItemError | None


@dataclass(frozen=True)
class Batch:
    solves: list[BatchItem]
    charged: int
    balance: int


@dataclass(frozen=True)
class Account:
    id: int
    username: str
    email: str
    balance: int
    last_used: str | None
    created: str


@dataclass(frozen=True)
class Report:
    solve: int
    verdict: str
    correction: str
    state: str
    decided_text: str
    refunded: int
    created: str
    decided: str | None
    notice: str


def read(shape: type[Shape], body: Mapping[str, Any]) -> Shape:
    """A dataclass of `body`; members that a later service adds are left out."""
    known = {field.name: body[field.name] for field in fields(shape)}  # type: ignore[arg-type]
    return shape(**known)


def read_solve(shape: type[Shape], body: Mapping[str, Any]) -> Shape:
    return read(shape, {**body, "characters": [read(Character, one) for one in body["characters"]]})


def read_batch(body: Mapping[str, Any]) -> Batch:
    items = [
        BatchItem(
            outcome=one["outcome"],
            solve=one["solve"] and read_solve(Solve, one["solve"]),
            error=one["error"] and read(ItemError, one["error"]),
        )
        for one in body["solves"]
    ]
    return Batch(items, body["charged"], body["balance"])
