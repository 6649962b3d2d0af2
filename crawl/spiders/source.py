"""The one generic spider: it does what the record of a source says, an image at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from form2request import form2request
from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.cookies import CookiesMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from crawl.models import CaptchaSource, CrawlRun
from crawl.scraping import selecting
from crawl.scraping.items import CaptchaImage
from crawl.scraping.outcomes import Failed, Refused, reason_of
from crawl.scraping.steps import Dropped
from crawl.scraping.tally import Tally

logger = logging.getLogger(__name__)


@dataclass
class Visit:
    """One session at the site, and what it has seen there."""

    cookies: int
    page: str = ""
    image: str = ""
    refresh: str = ""
    agreed: bool = False


class SourceSpider(Spider):
    """Another site's own way: subclass it in SPIDER_MODULES, give it a `name`, override `next_image`."""

    name = "source"

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> SourceSpider:
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.image_kept, signals.item_scraped)
        crawler.signals.connect(spider.image_dropped, signals.item_dropped)
        crawler.signals.connect(spider.image_failed, signals.item_error)
        return spider

    def __init__(self, run: CrawlRun, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.run = run
        self.source = run.its_source
        self.tally = Tally(run)
        self._visit: Visit | None = None
        self._cookies = itertools.count()
        self._settled = asyncio.Event()

    async def start(self) -> AsyncIterator[CaptchaImage]:
        while not self.tally.ending:
            try:
                image = await self.next_image()
            except Refused as refused:
                logger.info("the run ends: %s", refused)
                self.tally.add_drop(str(refused))
                self.tally.end(str(refused))
            except Failed as failed:
                logger.info("no image: %s", failed)
                self._visit = None  # whatever the session was in, begin anew
                self.tally.add_drop(str(failed))
            else:
                self._settled.clear()
                yield image
                await self._settled.wait()  # so that the count is exact before another one is asked for

    async def next_image(self) -> CaptchaImage:
        """One image of the source.

        Raises:
            Failed: it did not come.
            Refused: it may not be asked for.
        """
        visit = self._visit_for_next()
        if visit.image and self.source.again == CaptchaSource.Again.IMAGE:
            return await self._download(visit, visit.image)
        if visit.refresh and self.source.again == CaptchaSource.Again.REFRESH:
            page = await self.get(visit, visit.refresh)
        else:
            page = await self._agree(visit, await self.get(visit, self.source.start_url))
        if self.source.start == CaptchaSource.Start.IMAGE:
            visit.image = page.url
            return await self._item(visit, page.body, page.url, "")
        return await self._image_on(visit, page)

    async def get(self, visit: Visit, request: str | Request) -> Response:
        """An answer of 200, after redirects and retries. Raises Failed, Refused."""
        if isinstance(request, str):
            request = Request(request, headers={"Referer": visit.page} if visit.page else None)
        request = request.replace(callback=NO_CALLBACK, dont_filter=True)
        request.meta["cookiejar"] = visit.cookies
        try:
            response = await self.crawler.engine.download_async(request)
        except (Refused, Failed):
            raise
        except IgnoreRequest as error:
            raise Failed(reason_of(error)) from error
        if response.status != 200:
            raise Failed(f"HTTP {response.status}")
        return response

    def _visit_for_next(self) -> Visit:
        if self._visit is None or self.source.session == CaptchaSource.Session.FRESH:
            cookies = self.crawler.get_downloader_middleware(CookiesMiddleware)
            if self._visit is not None and cookies is not None:
                cookies.jars.pop(self._visit.cookies, None)  # a run of 100,000 sessions would keep them all
            self._visit = Visit(next(self._cookies))
        return self._visit

    async def _agree(self, visit: Visit, page: Response) -> Response:
        """The page behind the consent form, which a kept session meets only once."""
        if not self.source.consent_form:
            return page
        form = next(iter(selecting.elements(page, self.source.consent_form)), None)
        button = next(iter(selecting.elements(page, self.source.consent_button or "button,input")), None)
        if form is None or button is None:
            return page
        visit.agreed = True
        try:
            filled = form2request(
                form, self.source.consent_fields, click=button if self.source.consent_button else None
            )
        except (ValueError, NotImplementedError) as error:
            raise Failed("a consent form that cannot be sent") from error
        visit.page = page.url
        request = filled.to_scrapy(NO_CALLBACK)
        request.headers.setdefault("Referer", page.url)
        return await self.get(visit, request)

    async def _image_on(self, visit: Visit, page: Response) -> CaptchaImage:
        value = selecting.value_in(page, self.source.image)
        if not value:
            agreed = visit.agreed or not self.source.consent_form
            raise Failed(f"no {'image' if agreed else 'consent form, nor an image,'} found by the selector")
        visit.page = page.url
        if self.source.refresh:
            refresh = selecting.value_in(page, self.source.refresh)
            visit.refresh = page.urljoin(refresh) if refresh else ""
            if not refresh:
                raise Failed("no refresh button found by the selector")
        text = "" if self.source.truth_url else self._text_on(page)
        data = selecting.bytes_of(value)
        if data is not None:
            return await self._item(visit, data, page.url, text)
        visit.image = page.urljoin(value)
        return await self._download(visit, visit.image, text)

    async def _download(self, visit: Visit, url: str, text: str = "") -> CaptchaImage:
        response = await self.get(visit, url)
        return await self._item(visit, response.body, response.url, text)

    async def _item(self, visit: Visit, data: bytes, url: str, text: str) -> CaptchaImage:
        fetched = timezone.now()
        if self.source.truth_url:
            text = self._text_on(await self.get(visit, self.source.truth_url))
        return CaptchaImage(data, url, fetched, text)

    def _text_on(self, page: Response) -> str:
        if not self.source.truth:
            return ""
        text = selecting.value_in(page, self.source.truth)
        if not text:
            raise Failed("no text of the image found by the selector")
        return text

    def image_kept(self) -> None:
        self.tally.add_kept()
        self._settled.set()

    def image_dropped(self, exception: Exception) -> None:
        if isinstance(exception, Dropped):
            self.tally.add_drop(exception.reason)
        else:
            self.tally.add_duplicate()
        self._settled.set()

    def image_failed(self) -> None:
        """An error that nobody foresaw, such as a full disk; Scrapy has logged it."""
        self.tally.add_drop("could not be stored")
        self._settled.set()
