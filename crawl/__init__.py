"""Captchas collected from sites that the operator owns or may test, straight into the labelling queue.

It may import ``labeling``, ``ml`` and ``jobs``; no app imports it. Only ``scraping`` and ``spiders`` import
Scrapy, which the web process never does.
"""
