"""A spider class of somebody's own, as CRAWL_SPIDER_MODULES names it."""

from django.utils import timezone

from crawl.scraping.items import CaptchaImage
from crawl.spiders.source import SourceSpider, Visit


class HeadlessSpider(SourceSpider):
    """Of a site that tells the answer in the address of the image."""

    name = "headless"

    async def next_image(self) -> CaptchaImage:
        response = await self.get(Visit(0), self.source.start_url)
        return CaptchaImage(response.body, response.url, timezone.now(), "OWN")
