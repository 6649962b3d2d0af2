"""The practice site: a web site of our own with captchas, to crawl, to train on and to be turned away by.

A process of its own without the service's database: `manage.py practice_site`, or `python -m crawl.practice`.
"""
