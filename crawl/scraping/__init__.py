"""The side of crawling that imports Scrapy: settings, guard, pipeline steps. One process runs one crawl."""
