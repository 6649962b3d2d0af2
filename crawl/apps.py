from django.apps import AppConfig

from jobs import kinds


class CrawlConfig(AppConfig):
    name = "crawl"
    verbose_name = "crawling"

    def ready(self) -> None:
        # Begun again after a kill it goes on with the run that the kill left: see --go-on.
        kinds.register(kinds.Kind("crawl", "crawl", "Crawl a source", restartable=True))
