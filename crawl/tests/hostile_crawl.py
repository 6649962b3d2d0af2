"""Real Scrapy, with a crawl's settings, sent to hostile addresses; prints what came of each and all connects.

    python -m crawl.tests.hostile_crawl ALLOWED [unguarded] < URLS

ALLOWED is the host and port that the operator allowed; unguarded: with the guard's middlewares left out. The
name server is a fake one, the network outside is shut: a connect that leaves this machine is written down and
refused.
"""

import json
import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

NAMES = {
    "inside.test": ["10.0.0.7"],
    "loop.test": ["127.0.0.1"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "mixed.test": ["1.1.1.1", "192.168.0.1"],
    "open.test": ["1.1.1.1"],
}
"""`rebindN.test` is public when it is first asked for, and this machine from then on."""

connects: list[list[Any]] = []
_asked: set[str] = set()


def watch(event: str, given: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(given[1], tuple):
        host, port = given[1][:2]
        connects.append([host, port])
        if not host.startswith("127."):
            raise ConnectionRefusedError(111, "the network outside is shut")


def answer(host: str, *args: Any, **kwargs: Any) -> list[Any]:
    if host.startswith("rebind"):
        addresses = ["127.0.0.1"] if host in _asked else ["1.1.1.1"]
        _asked.add(host)
    elif host.endswith(".test"):
        addresses = NAMES[host]
    else:
        return _getaddrinfo(host, *args, **kwargs)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]


_getaddrinfo = socket.getaddrinfo


def main() -> None:
    os.environ["CRAWL_ALLOWED_HOSTS"] = sys.argv[1]
    import django

    django.setup()
    from scrapy import Request, Spider
    from scrapy.crawler import AsyncCrawlerProcess
    from scrapy.http.request import NO_CALLBACK

    from crawl.models import CaptchaSource
    from crawl.scraping import politeness
    from crawl.scraping.settings import scrapy_settings

    urls = json.load(sys.stdin)
    outcomes: dict[str, str] = {}

    class HostileSpider(Spider):
        name = "hostile"

        async def start(self) -> Any:
            for url in urls:
                try:
                    request = Request(url, callback=NO_CALLBACK, dont_filter=True)
                    response = await self.crawler.engine.download_async(request)
                    outcomes[url] = f"answered {response.status}"
                except Exception as error:
                    outcomes[url] = f"{type(error).__name__}: {error}"
            for nothing in list[Any]():
                yield nothing

    politeness.FIRST_WAIT = 0.001
    settings = scrapy_settings(CaptchaSource(start_url=f"http://{sys.argv[1]}/", delay=0, timeout=5))
    # Every host is one that the source names, so that the address alone decides.
    settings["CRAWL_HOSTS"] = sorted({(urlsplit(url).hostname or "").lower() for url in urls if _parses(url)})
    settings |= {"ITEM_PIPELINES": {}, "EXTENSIONS": {}, "LOG_LEVEL": "CRITICAL"}
    if "unguarded" in sys.argv:
        guards = {"crawl.scraping.guard.HostGuard": None, "crawl.scraping.guard.AddressGuard": None}
        settings["DOWNLOADER_MIDDLEWARES"] |= guards
        settings["ROBOTSTXT_OBEY"] = False
    socket.getaddrinfo = answer  # type: ignore[assignment]
    sys.addaudithook(watch)
    process = AsyncCrawlerProcess(settings)
    process.crawl(HostileSpider)
    process.start()
    json.dump({"outcomes": outcomes, "connects": connects}, sys.stdout)


def _parses(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main()
