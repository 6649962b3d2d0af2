"""Once a second: how far the run is, into its row and onto the terminal; and whether it is to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from typing import cast

from asgiref.sync import sync_to_async
from django.db import connections
from scrapy import signals
from scrapy.crawler import Crawler
from tqdm import tqdm

from crawl import services
from crawl.services import Beat
from crawl.spiders.source import SourceSpider
from jobs.progress import report, watched

SECONDS = 1.0
LINES = 200


class LogTail(logging.Handler):
    """The last lines that Scrapy and this app logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        self._lines: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record)[:1000])

    def text(self) -> str:
        return "\n".join(self._lines)


class Progress:
    """Scrapy extension."""

    def __init__(self, crawler: Crawler) -> None:
        self._stats = crawler.stats
        self._spider = cast(SourceSpider, crawler.spider)
        self._began = time.monotonic()
        self._beating: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self.log = LogTail()
        tally = self._spider.tally
        self._bar = tqdm(
            total=self._spider.run.wanted,
            initial=tally.kept,
            unit="image",
            desc=self._spider.run.source_slug,
            disable=not watched(),
        )

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Progress:
        extension = cls(crawler)
        crawler.signals.connect(extension.opened, signals.spider_opened)
        crawler.signals.connect(extension.closed, signals.spider_closed)
        return extension

    def told(self) -> Beat:
        return Beat(
            drops=dict(self._spider.tally.drops),
            requests=self._stats.get_value("downloader/request_count", 0),
            seconds=time.monotonic() - self._began,
            log=self.log.text(),
        )

    def opened(self) -> None:
        for name in ("scrapy", "crawl"):
            logging.getLogger(name).addHandler(self.log)
        self._beating = asyncio.ensure_future(self._beat())

    async def closed(self) -> None:
        # Not cancelled: a database call in a thread may swallow that.
        self._ended.set()
        if self._beating is not None:
            await self._beating
        self._show()
        self._bar.close()
        await sync_to_async(connections.close_all)()

    async def _beat(self) -> None:
        while not self._ended.is_set():
            try:
                ending = await sync_to_async(services.beat)(run=self._spider.run, told=self.told())
            except Exception:
                # The images are what counts: the next beat may find the database again.
                logging.getLogger(__name__).warning("the heartbeat could not be stored", exc_info=True)
            else:
                if ending:
                    self._spider.tally.stop(ending)
            self._show()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), SECONDS)

    def _show(self) -> None:
        tally = self._spider.tally
        self._bar.set_postfix(duplicates=tally.duplicates, dropped=tally.drops.total(), refresh=False)
        self._bar.update(tally.kept - self._bar.n)
        line = f"{tally.duplicates} duplicates, {tally.drops.total()} dropped"
        report(tally.kept, self._spider.run.wanted, line)
