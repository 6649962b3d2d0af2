"""Cross-validation: how well training does on images that it has not seen."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.management import curves
from ml.management.arguments import TrainingBar, load_folders, require_training
from ml.models import TYPES_SLUG
from ml.recognition.artifacts import TRAINED_ON_FILE, trained_on
from ml.recognition.datasets import Example
from ml.recognition.metrics import describe, describe_interval
from ml.recognition.synthesis.fonts import NoFonts
from ml.training_runs import CannotTrain, starting_weights


class Command(TaskCommand):
    help = (
        "Trains once for each fold on the other folds and reads the fold with the result: every image "
        "is judged by a model that never saw it. Prints n, exact match and the 95 % Wilson interval."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help=f"a type's slug, or {TYPES_SLUG} for the type model")
        parser.add_argument("--images", nargs="+", type=Path, required=True, metavar="DIR")
        parser.add_argument("--folds", type=int, default=5)
        parser.add_argument(
            "--from", default="general", dest="start", metavar="MODEL",
            help="the general reader each fold starts from: general, general/VERSION, a folder, or none",
        )  # fmt: skip
        parser.add_argument("--minutes", type=float, help="for each fold; default as in train")
        parser.add_argument("--steps", type=int, help="this many steps instead, so that a run is repeatable")
        parser.add_argument("--seed", type=int, default=0, help="of the folds and of training")
        curves.add_json_file(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["folds"] < 2:
            raise CommandError("Cross-validation takes at least 2 folds.")
        folders = load_folders(options["images"])
        require_training()
        chosen = {name: options[name] for name in ("minutes", "steps") if options[name] is not None}
        chosen["seed"] = options["seed"]
        self.folds: list[dict[str, Any]] = []
        bar = TrainingBar(f"{options['type']}, {options['folds']} folds")
        try:
            figures = self._figures(options, folders, chosen, bar)
        except (CannotTrain, NoFonts, ValueError) as error:
            raise CommandError(str(error)) from error
        finally:
            bar.close()
        figures |= {"type": options["type"], "folds": self.folds, "config": chosen}
        if options["type"] == TYPES_SLUG:
            self.stdout.write(f"type decision            {describe_interval(figures['exact_match'])}")
        else:
            self.stdout.write(describe(figures))  # type: ignore[arg-type]
            if "value_right" in figures:
                self.stdout.write(f"value right              {describe_interval(figures['value_right'])}")
        curves.write_json(options["json"], figures, self.answer)

    def _figures(
        self,
        options: dict[str, Any],
        folders: dict[str, list[Example]],
        chosen: dict[str, Any],
        bar: TrainingBar,
    ) -> dict[str, Any]:
        from ml import cross_validation as runs

        if options["type"] == TYPES_SLUG:
            return runs.cross_validate_types(
                folders,
                folds=options["folds"],
                config=runs.TypesConfig(**chosen),
                report=self._report,
                progress=bar,
            )
        examples = [example for folder in folders.values() for example in folder]
        start = starting_weights(options["start"])
        self._refuse_a_start_that_saw(start, examples)
        return runs.cross_validate_reader(
            options["type"],
            examples,
            folds=options["folds"],
            start=start,
            config=runs.TrainConfig(**chosen),
            report=self._report,
            progress=bar,
        )

    def _refuse_a_start_that_saw(self, start: Path | None, examples: list[Example]) -> None:
        if start is None or not (start.parent / TRAINED_ON_FILE).is_file():
            return
        seen = trained_on(start.parent)
        count = sum(example.data_hash in seen for example in examples)
        if count:
            raise CannotTrain(f"the model to start from was trained on {count} of these images")

    def _report(self, number: int, figures: dict[str, Any]) -> None:
        self.folds.append(figures)
        self.stdout.write(
            f"fold {number}: trained on {figures['n_trained']}, "
            f"exact match {describe_interval(figures['exact_match'])}"
        )
