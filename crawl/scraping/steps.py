"""The steps of an image on its way into the labelling queue; what falls out is named and counted."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from asgiref.sync import sync_to_async
from scrapy.crawler import Crawler
from scrapy.exceptions import DropItem

from crawl import services
from crawl.models import CrawlRun
from crawl.scraping.items import CaptchaImage
from ml.recognition.images import ImageError, open_image

if TYPE_CHECKING:  # the spider knows why an image was dropped
    from crawl.spiders.source import SourceSpider

logger = logging.getLogger(__name__)

_REASONS = {
    "empty": "an empty image",
    "too_large": "too large",
    "not_an_image": "no image",
    "unsupported_format": "an image of a format that is not read",
    "truncated": "a damaged image",
    "too_many_pixels": "an image of too many pixels",
    "too_small": "an image too small for a captcha",
    "animated": "an animated image",
}


class Dropped(DropItem):
    """`reason` is what the report counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Duplicate(DropItem):
    """The type has these bytes already."""


class Step(ABC):
    """One step of the pipeline. It works in a thread, because Django's database calls block."""

    def __init__(self, run: CrawlRun) -> None:
        self.run = run

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Step:
        return cls(cast("SourceSpider", crawler.spider).run)

    async def process_item(self, item: CaptchaImage) -> CaptchaImage:
        await sync_to_async(self.take)(item)
        return item

    @abstractmethod
    def take(self, item: CaptchaImage) -> None:
        """Raises DropItem for what goes no further."""


class ValidateImage(Step):
    """By its bytes, with the limits of every upload: what the site calls it counts for nothing."""

    def take(self, item: CaptchaImage) -> None:
        if item.data[:256].lstrip()[:1] == b"<":
            raise Dropped("HTML in place of an image")
        try:
            open_image(item.data)
        except ImageError as error:
            raise Dropped(_REASONS.get(error.code, error.code)) from error


class DropDuplicates(Step):
    """By the SHA-256 of the file, among all images of the type."""

    def take(self, item: CaptchaImage) -> None:
        if services.is_known(run=self.run, data=item.data):
            raise Duplicate("known already")


class StoreSample(Step):
    """Sample, label and trail in one transaction: a kill leaves all of them or none."""

    def take(self, item: CaptchaImage) -> None:
        kept = services.keep(run=self.run, data=item.data, url=item.url, fetched=item.fetched, text=item.text)
        if not kept.new:
            raise Duplicate("known already")
        if kept.text_refused:
            logger.warning("kept without the site's text %r: %s", item.text, kept.text_refused)
