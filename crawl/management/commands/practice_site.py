"""Serve the practice site: captchas of our own to crawl, to label and to solve."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from crawl.practice.site import ROBOTS


class Command(BaseCommand):
    help = (
        "Serves a small site with captchas, in a process of its own without the database, until Ctrl-C. "
        "Its captchas say what they show: it is for practice and tests."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8100)
        parser.add_argument(
            "--seed", type=int, default=0, help="the same seed: the same captchas, in the same order"
        )
        parser.add_argument("--robots", choices=sorted(ROBOTS), default="usual", help="what robots.txt says")

    def handle(self, *args: Any, **options: Any) -> None:
        # Another process, because its Django has the app of django-simple-captcha and a database in memory.
        given = [f"--{name}={options[name]}" for name in ("port", "seed", "robots")]
        os.execv(sys.executable, [sys.executable, "-m", "crawl.practice", *given])  # noqa: S606 - no shell
