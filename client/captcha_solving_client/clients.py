"""The client, and the same for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar, Unpack

import httpx

from . import calls
from .calls import Call, Hints
from .shapes import Account, Batch, Report, Solution

Answer = TypeVar("Answer")


class Client:
    """Calls the service at `base_url` with an API key, or with a token.

    Every method raises ApiError for a refusal, Unsolvable among them, and httpx.TransportError when the
    service cannot be reached after `retries` further attempts. `timeout` is in seconds.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: int = 4,
        timeout: float = 30,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = calls.headers(api_key, token)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries

    def solve(self, image: bytes, **hints: Unpack[Hints]) -> Solution:
        """Read one captcha. A repetition after a lost answer is free."""
        return self._send(calls.solve(image, hints))

    def solve_batch(self, images: Sequence[bytes], **hints: Unpack[Hints]) -> Batch:
        """Read up to 64 captchas, charged at once; each has an outcome of its own."""
        return self._send(calls.solve_batch(images, hints))

    def report(self, solve_id: int, verdict: str, *, correction: str = "") -> Report:
        """Tell that an answer was `correct` or `incorrect`."""
        return self._send(calls.report(solve_id, verdict, correction))

    def account(self) -> Account:
        return self._send(calls.account())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, call: Call[Answer]) -> Answer:
        for attempt in range(self._retries + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = self._http.request(call.method, call.path, json=call.json, headers=call.headers)
                if outcome.is_success:
                    break
            except httpx.TransportError as error:
                outcome = error
            pause = calls.pause_after(call, outcome, attempt)
            if pause is None or attempt == self._retries:
                break
            time.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise outcome
        return calls.answer_of(call, outcome)


class AsyncClient:
    """`Client`, with coroutines."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        retries: int = 4,
        timeout: float = 30,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = calls.headers(api_key, token)
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=timeout, transport=transport
        )
        self._retries = retries

    async def solve(self, image: bytes, **hints: Unpack[Hints]) -> Solution:
        return await self._send(calls.solve(image, hints))

    async def solve_batch(self, images: Sequence[bytes], **hints: Unpack[Hints]) -> Batch:
        return await self._send(calls.solve_batch(images, hints))

    async def report(self, solve_id: int, verdict: str, *, correction: str = "") -> Report:
        return await self._send(calls.report(solve_id, verdict, correction))

    async def account(self) -> Account:
        return await self._send(calls.account())

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, call: Call[Answer]) -> Answer:
        for attempt in range(self._retries + 1):
            outcome: httpx.Response | httpx.TransportError
            try:
                outcome = await self._http.request(
                    call.method, call.path, json=call.json, headers=call.headers
                )
                if outcome.is_success:
                    break
            except httpx.TransportError as error:
                outcome = error
            pause = calls.pause_after(call, outcome, attempt)
            if pause is None or attempt == self._retries:
                break
            await asyncio.sleep(pause)
        if isinstance(outcome, httpx.TransportError):
            raise outcome
        return calls.answer_of(call, outcome)
