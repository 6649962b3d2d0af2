"""Take images from a folder, a zip or a table into the queue of a type."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from tqdm import tqdm

from jobs.commands import TaskCommand, add_json
from jobs.progress import watched
from labeling.importing import Options, Report, import_files, import_folder, import_zip
from labeling.management.reading import read_waiting
from labeling.tables import is_table
from ml.models import CaptchaType


class Command(TaskCommand):
    help = (
        "Takes the images of a folder or zip into the labelling queue of a type; a table among them (CSV, "
        "JSONL, rec_gt.txt, Label Studio JSON) gives their labels. What cannot be taken is listed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="the type's slug")
        parser.add_argument("source", type=Path, metavar="DIR", help="a folder, a zip, or a table of labels")
        parser.add_argument(
            "--labelled", action="store_true", help="the file names are the labels: 2KXQE__2.png"
        )
        parser.add_argument(
            "--trusted",
            action="store_true",
            help="the labels are known to be right: test images need no second reading, and check people",
        )
        parser.add_argument("--no-predictions", action="store_true", help="let no reader read the images now")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        captcha_type = CaptchaType.objects.filter(slug=options["type"]).first()
        if captcha_type is None:
            known = ", ".join(CaptchaType.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"There is no type {options['type']}; there are: {known}.")
        report = self._import(captcha_type, options["source"], options)
        for name, reason in report.skipped:
            self.stderr.write(f"skipped: {name}: {reason}")
        if report.skipped_count > len(report.skipped):
            self.stderr.write(f"skipped: {report.skipped_count - len(report.skipped)} more")
        self.stdout.write(
            f"{report.added} added, {report.duplicates} known already, {report.labelled} labelled, "
            f"{report.skipped_count} skipped"
        )
        read = 0 if options["no_predictions"] else read_waiting(captcha_type)
        if not options["no_predictions"]:
            self.stdout.write(f"{read} read by the serving reader")
        if options["json"]:
            self.give(asdict(report) | {"read": read})

    def _import(self, captcha_type: CaptchaType, source: Path, options: dict[str, Any]) -> Report:
        chosen = Options(source=source.name, labelled=options["labelled"], trusted=options["trusted"])
        bar = tqdm(unit="image", disable=not watched())

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            if source.is_dir():
                return import_folder(
                    captcha_type=captcha_type, folder=source, options=chosen, progress=progress
                )
            if not source.is_file():
                raise CommandError(f"{source} is neither a folder nor a file.")
            if is_table(source.name):
                files = [(source.name, source.read_bytes())]
                return import_files(captcha_type=captcha_type, files=files, options=chosen)
            with source.open("rb") as archive:
                return import_zip(
                    captcha_type=captcha_type, archive=archive, options=chosen, progress=progress
                )
        except OSError as error:
            raise CommandError(
                f"The import stopped; what it took in stays, and may be sent again: {error}"
            ) from error
        finally:
            bar.close()
