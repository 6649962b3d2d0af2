"""One crawl in this process, from the first request to the last; afterwards the process can do no other."""

from __future__ import annotations

from typing import cast

from scrapy.crawler import AsyncCrawlerProcess
from scrapy.settings import Settings
from scrapy.spiderloader import SpiderLoader

from crawl import services
from crawl.errors import SourceError
from crawl.models import CaptchaSource, CrawlRun
from crawl.scraping import selecting
from crawl.scraping.progress import Progress
from crawl.scraping.settings import scrapy_settings
from crawl.spiders.source import SourceSpider


def check_for_scrapy(source: CaptchaSource) -> None:
    """What only Scrapy can judge of a source: its selectors and its spider. Raises SourceError."""
    of_json = source.start == CaptchaSource.Start.JSON
    for where in (source.image, source.refresh):
        selecting.check(where, of_json=of_json)
    selecting.check(source.truth, of_json=of_json or bool(source.truth_url))
    for where in (source.consent_form, source.consent_button):
        selecting.check(where, of_json=False)
    try:
        spider = SpiderLoader(Settings(scrapy_settings(source))).load(source.spider)
    except (KeyError, ImportError) as error:
        raise SourceError(f"{source} asks for the spider {source.spider}, which cannot be loaded") from error
    if not issubclass(spider, SourceSpider):
        raise SourceError(f"The spider {source.spider} of {source} is no SourceSpider.")


def crawl(run: CrawlRun) -> tuple[CrawlRun, int]:
    """Bring in what the run still wants; the run as it ended, and the number of errors that nobody foresaw.

    Ctrl-C and SIGTERM end it after the request that is under way.
    """
    process = AsyncCrawlerProcess(scrapy_settings(run.its_source))
    crawler = process.create_crawler(run.its_source.spider)
    process.crawl(crawler, run=run)
    process.start()
    progress = cast(Progress, crawler.get_extension(Progress))
    tally = cast(SourceSpider, crawler.spider).tally
    errors = int(crawler.stats.get_value("log_count/ERROR", 0))
    ended = services.finish(
        run=run,
        told=progress.told(),
        reason=tally.ending or ("an error that nobody foresaw" if errors else services.INTERRUPTED),
        stopped=tally.stopped or not (tally.ending or errors),
    )
    return ended, errors
