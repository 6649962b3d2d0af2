"""Scrapy's settings for one crawl: what it may not do is switched off here, not trusted to be unused."""

from typing import Any

from django.conf import settings

from crawl import rules
from crawl.models import CaptchaSource
from ml.recognition.images import MAX_BYTES

MAX_PAGE_BYTES = 2 * MAX_BYTES
"""Of any answer, unpacked; an image may have MAX_BYTES."""
SOFTWARE = "CaptchaSolvingService/1.0"


def user_agent() -> str:
    """Who asks, and whom to write to; a host that was allowed by its name knows its operator."""
    return f"{SOFTWARE} (+{settings.CRAWL_CONTACT or 'a test of its own operator'})"


def scrapy_settings(source: CaptchaSource) -> dict[str, Any]:
    return {
        "BOT_NAME": "captcha-solving-service",
        "USER_AGENT": user_agent(),
        "SPIDER_MODULES": ["crawl.spiders", *settings.CRAWL_SPIDER_MODULES],
        "CRAWL_HOSTS": sorted(rules.hosts_of(source)),
        # Manners
        "ROBOTSTXT_OBEY": True,
        "DOWNLOAD_DELAY": source.delay,
        "DOWNLOAD_DELAY_JITTER": 0.0,  # the configured rate is a bound, not a mean
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": source.delay,
        "AUTOTHROTTLE_MAX_DELAY": max(60.0, source.delay),
        "RETRY_TIMES": 2,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",  # it is counted; ERROR is for what nobody foresaw
        # Limits
        "DOWNLOAD_TIMEOUT": source.timeout,
        "DOWNLOAD_MAXSIZE": MAX_PAGE_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "REDIRECT_MAX_TIMES": 5,
        "METAREFRESH_ENABLED": False,
        "DNS_TIMEOUT": 20,
        # Where it may go, and how
        "DOWNLOAD_HANDLERS": {"file": None, "ftp": None, "s3": None, "data": None},
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "TWISTED_DNS_RESOLVER": "crawl.scraping.guard.PinnedResolver",
        "HTTPPROXY_ENABLED": False,  # a proxy of the environment would be connected to unchecked
        "HTTPCACHE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,  # it would run code that it is sent
        "TELNETCONSOLE_ENABLED": False,
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,  # the guard knows the hosts
            "crawl.scraping.guard.HostGuard": 50,
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "crawl.scraping.politeness.PoliteRobotsMiddleware": 100,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "crawl.scraping.politeness.BackOffMiddleware": 550,
            "crawl.scraping.guard.AddressGuard": 1000,
        },
        "ITEM_PIPELINES": {
            "crawl.scraping.steps.ValidateImage": 100,
            "crawl.scraping.steps.DropDuplicates": 200,
            "crawl.scraping.steps.StoreSample": 300,
        },
        "EXTENSIONS": {"crawl.scraping.progress.Progress": 100},
        "LOG_INSTALL_ROOT_HANDLER": False,  # the project has its own
        "LOG_LEVEL": "INFO",
        "DEFAULT_DROPITEM_LOG_LEVEL": "INFO",
        "LOGSTATS_INTERVAL": 0,
        "STATS_DUMP": False,
    }
