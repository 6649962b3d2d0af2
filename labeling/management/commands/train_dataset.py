"""Train a reader on a frozen data set and measure it beside the one that serves."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from jobs.progress import report
from labeling.datasets import folder_of, judging_folders, labelled_folders, problems
from labeling.models import Dataset
from ml.models import ModelVersion


class Command(TaskCommand):
    help = (
        "Trains a reader on a frozen data set (manage.py train), then measures it and the one that serves on "
        "images that neither was trained on (manage.py evaluate). Both figures are stored for the promotion."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="the type's slug")
        parser.add_argument("number", type=int, help="the data set's number")
        parser.add_argument("--minutes", type=float, help="at most; default 3")
        parser.add_argument("--steps", type=int, help="this many steps instead, so that a run is repeatable")

    def handle(self, *args: Any, **options: Any) -> None:
        slug, number = options["type"], options["number"]
        dataset = Dataset.objects.filter(captcha_type__slug=slug, number=number).first()
        if dataset is None:
            raise CommandError(f"There is no data set {number} of {slug}.")
        if found := problems(dataset):
            raise CommandError(f"The folder of data set {dataset} is not as it was frozen: {found[0]}")
        folder = folder_of(dataset)
        before = self._newest(slug)
        call_command(
            "train", slug, images=[folder], minutes=options["minutes"], steps=options["steps"],
            tests=judging_folders(dataset), known_type=True, stdout=self.stdout, stderr=self.stderr,
        )  # fmt: skip
        version = self._newest(slug)
        if version is None or version == before:
            raise CommandError(f"The training of {slug} registered no version.")
        report(0, 0, "evaluating")
        call_command(
            "evaluate", slug, number=version.version, images=labelled_folders(dataset),
            stdout=self.stdout, stderr=self.stderr,
        )  # fmt: skip
        report(1, 1, f"{version} was trained and evaluated")

    def _newest(self, slug: str) -> ModelVersion | None:
        return ModelVersion.objects.filter(slug=slug).order_by("-registered_at", "-pk").first()
