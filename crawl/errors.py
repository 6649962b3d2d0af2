"""What crawling refuses; the message is for the person who asked."""


class CrawlError(Exception):
    """The crawl cannot begin."""


class NotAuthorised(CrawlError):
    """Nobody who may has allowed it, or not any more."""


class HostBusy(CrawlError):
    """Another run asks this host now."""


class SourceError(CrawlError):
    """The source's record, or the file of sources, cannot be used."""
