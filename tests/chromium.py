"""The real browser of tests and benchmarks: the system's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

REPORT_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", event =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
"""Run in each page, makes every breach of its content security policy an error of the console."""
PATIENCE = 30_000
"""Milliseconds that an expectation may take: a busy machine needs more than the usual 5,000."""


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser that ends with the context. Raises RuntimeError where Chromium is not installed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("Chromium is not installed. Type: sudo apt-get install -y chromium")
    # The driver keeps a loop running in this thread, in which Django would refuse to touch the database.
    with mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"), sync_playwright() as playwright:
        # Root may not use Chromium's sandbox; the pages are ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        expect.set_options(timeout=PATIENCE)
        yield browser
