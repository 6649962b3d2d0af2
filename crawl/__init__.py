"""The place of the Scrapy sources, spiders and pipelines that collect captchas of sites you own or may test.

It may import ``labeling``, ``ml`` and ``jobs``; no app imports it.
"""
