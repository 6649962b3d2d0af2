"""robots.txt as its standard says, and retries that leave a troubled site more and more time."""

from __future__ import annotations

import asyncio
import email.utils
import time
from urllib.parse import urlsplit

from protego import Protego
from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.extensions.throttle import AutoThrottle
from scrapy.http import Response
from scrapy.robotstxt import RobotParser

from crawl.scraping.guard import unpin
from crawl.scraping.outcomes import Failed, Refused, reason_of

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
"""Seconds. A site that asks for more is left alone: the run ends and can be resumed."""


class PoliteRobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's, but that a robots.txt which cannot be read allows nothing (RFC 9309, 2.3.1.4), and that
    Crawl-delay counts."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._errors: dict[str, Exception] = {}

    def process_request_2(self, rp: RobotParser | None, request: Request) -> None:
        try:
            super().process_request_2(rp, request)
        except IgnoreRequest as error:
            raise Refused("robots.txt forbids it") from error

    async def robot_parser(self, request: Request) -> RobotParser | None:
        parser = await super().robot_parser(request)
        if parser is None:
            error = self._errors[urlsplit(request.url).netloc]
            if isinstance(error, Refused):
                raise error
            raise Refused(f"robots.txt cannot be read ({error}), so it allows nothing") from error
        return parser

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500:
            raise IgnoreRequest(f"HTTP {response.status}")
        if response.status >= 400:
            response = response.replace(body=b"")  # there is none: an error page is no list of rules
        await super()._parse_robots(response, netloc, request)
        rules = Protego.parse(response.body.decode("utf-8", "replace"))
        self._slow_down(float(rules.crawl_delay(self._default_useragent) or 0))

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        self._errors[netloc] = exc
        super()._robots_error(exc, netloc)

    def _slow_down(self, delay: float) -> None:
        throttle = self.crawler.get_extension(AutoThrottle)
        if throttle is None or delay <= throttle.mindelay:
            return
        throttle.mindelay = delay  # what every answer brings the delay back to, for the hosts to come
        throttle.maxdelay = max(throttle.maxdelay, delay)
        for slot in self.crawler.engine.downloader.slots.values():
            slot.delay = max(slot.delay, delay)


class BackOffMiddleware:
    """Scrapy's retries, with a wait that doubles, or as long as the site asks for in Retry-After."""

    def __init__(self, retries: RetryMiddleware) -> None:
        self._retries = retries

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> BackOffMiddleware:
        return cls(RetryMiddleware.from_crawler(crawler))

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        answer = self._retries.process_response(request, response)
        if isinstance(answer, Request):
            wait = _retry_after(response)
            if wait is not None and wait > LONGEST_WAIT:
                raise Refused(f"HTTP {response.status}, asks to wait longer than {LONGEST_WAIT:.0f} s")
            await _wait(answer, wait)
        return answer

    async def process_exception(self, request: Request, exception: Exception) -> Request | Response | None:
        if isinstance(exception, IgnoreRequest):
            return None
        reason = reason_of(exception)
        answer = self._retries.process_exception(request, exception)
        if not isinstance(answer, Request):
            raise Failed(reason) from exception
        unpin(request.url)
        await _wait(answer, None)
        return answer


async def _wait(again: Request, wait: float | None) -> None:
    doubled = FIRST_WAIT * 2 ** (again.meta["retry_times"] - 1)
    await asyncio.sleep(min(LONGEST_WAIT, max(doubled, wait or 0.0)))


def _retry_after(response: Response) -> float | None:
    """Seconds, from a number or a date; None where nothing is said."""
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    parsed = email.utils.parsedate_tz(value)
    return None if parsed is None else max(0.0, email.utils.mktime_tz(parsed) - time.time())
