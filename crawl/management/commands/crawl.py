"""Collect captchas of a source into the labelling queue of its type."""

import getpass
import importlib.util
import logging
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from crawl import services
from crawl.errors import CrawlError
from crawl.models import CaptchaSource, CrawlRun
from jobs.commands import TaskCommand, add_json


class Command(TaskCommand):
    help = (
        "Collects captchas of a source that you own or are authorised to use into the labelling queue of its "
        "type. Ends with 0 when as many new images came as were asked for, else with 1; the report says why."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="the source's name")
        parser.add_argument("--count", type=int, help="new images to bring; default: the source's")
        parser.add_argument(
            "--resume", action="store_true", help="go on with the last run, which ended early or was killed"
        )

        parser.add_argument(
            "--go-on",
            action="store_true",
            help="go on with the last run if its process was killed or told to end, else begin one",
        )
        add_json(parser)
        parser.add_argument("--by", default=getpass.getuser(), help="who starts it, for the trail")

    def handle(self, *args: Any, **options: Any) -> None:
        source = CaptchaSource.objects.select_related("captcha_type").filter(slug=options["source"]).first()
        if source is None:
            known = ", ".join(CaptchaSource.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no source {options['source']}; there are: {known}.")
        if options["count"] is not None and options["count"] < 1:
            raise CommandError("--count must be at least 1.")
        if importlib.util.find_spec("scrapy") is None:
            raise CommandError("Crawling needs Scrapy: pip install -r requirements/crawl.txt")
        from crawl.scraping import process

        _set_up_logging(quiet=options["verbosity"] < 2)
        by = f"{options['by']} on {socket.gethostname()}"
        try:
            process.check_for_scrapy(source)
            run = services.begin(
                source=source,
                by=by,
                count=options["count"],
                resume=options["resume"],
                go_on=options["go_on"],
            )
        except CrawlError as error:
            raise CommandError(str(error)) from error
        ended, errors = process.crawl(run)
        self._report(ended, errors)
        if options["json"]:
            self.give(_facts(ended, errors))
        if ended.state != CrawlRun.State.COMPLETE or errors:
            sys.exit(1)

    def _report(self, run: CrawlRun, errors: int) -> None:
        rate = f", {run.kept / run.seconds:.2f} images/s" if run.seconds else ""
        self.stdout.write(
            f"{run}: {run.get_state_display()} ({run.reason}): {run.kept} of {run.wanted} images, "
            f"{run.labelled} with their text, {run.duplicates} duplicates, {run.dropped} dropped; "
            f"{run.requests} requests in {run.seconds:.1f} s{rate}"
        )
        for reason, n in sorted(run.drops.items(), key=lambda one: -one[1]):
            self.stdout.write(f"  dropped {n}: {reason}")
        if errors:
            self.stdout.write(f"  {errors} errors that nobody foresaw; the log has them (--verbosity 2)")
        if run.state != CrawlRun.State.COMPLETE:
            self.stdout.write(f"  manage.py crawl {run.source_slug} --resume brings the rest")


def _facts(run: CrawlRun, errors: int) -> dict[str, Any]:
    return {
        "state": run.state,
        "reason": run.reason,
        "wanted": run.wanted,
        "kept": run.kept,
        "labelled": run.labelled,
        "duplicates": run.duplicates,
        "dropped": run.drops,
        "requests": run.requests,
        "seconds": round(run.seconds, 1),
        "errors": errors,
    }


def _set_up_logging(*, quiet: bool) -> None:
    """The run's row keeps the log; on the terminal is the bar."""
    logging.getLogger("scrapy").setLevel(logging.INFO)  # a line for each request says what nobody asked
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR if quiet else logging.INFO)
