"""How well a registered model reads labelled images."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from jobs.commands import TaskCommand
from ml import evaluation, registry
from ml.comparison import evaluate_together, unseen_by
from ml.gate import judge
from ml.management import curves
from ml.management.arguments import load_folders, progress
from ml.models import GENERAL_SLUG, TYPES_SLUG, ModelVersion
from ml.recognition.artifacts import ArtifactError
from ml.recognition.datasets import Example
from ml.recognition.decoding import Constraints
from ml.recognition.metrics import describe, describe_interval
from ml.recognition.pipeline import Recognizer
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.synthesis.fonts import NoFonts


class Command(TaskCommand):
    help = (
        "Measures a model on folders of labelled images: exact match with 95 % Wilson intervals, character "
        "error rate, calibration, confusions. Images that the version was trained on are left out. A "
        "candidate is measured beside the version that serves, on images that neither was trained on, and "
        "both figures are stored: manage.py promote asks for them."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # --version means the model's here, not Django's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help=f"a type's slug, {GENERAL_SLUG}, or {TYPES_SLUG} for the type model")
        parser.add_argument(
            "--images", nargs="+", type=Path, default=[], metavar="DIR",
            help="folders whose file names are the labels, or that hold a labels.csv; "
            f"with {TYPES_SLUG} a folder's name is the type of its images",
        )  # fmt: skip
        parser.add_argument("--version", type=int, dest="number", help="default: the serving version")
        parser.add_argument(
            "--alone", action="store_true", help="do not measure the serving version on the same images"
        )
        parser.add_argument(
            "--against",
            type=int,
            metavar="VERSION",
            help="measure this one beside it, not what serves",
        )
        parser.add_argument("--no-save", action="store_true", help="store nothing")
        curves.add_json_file(parser)
        parser.add_argument(
            "--hints", action="store_true", help="tell the reader the labels' alphabet and lengths"
        )
        parser.add_argument(
            "--rejection",
            action="store_true",
            help="also draw pictures of no known type, and count who is fooled",
        )
        parser.add_argument("--n", type=int, default=1000, help="how many pictures --rejection draws")
        parser.add_argument("--seed", type=int, default=0, help="of --rejection")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["images"] and not options["rejection"]:
            raise CommandError("Nothing to measure: give --images DIR (or, for the type model, --rejection).")
        version = self._version(options["type"], options["number"])
        compared = [version, *self._beside(version, options["against"], alone=options["alone"])]
        folders = load_folders(options["images"])
        figures: dict[str, Any] = {"model": str(version), "folders": {}}
        try:
            model = registry.open_model(version)
            kept = self._unseen(compared, folders, figures)
        except ArtifactError as error:
            raise CommandError(str(error)) from error
        if isinstance(model, TypeClassifier):
            self._evaluate_types(model, kept, figures)
        else:
            for name, examples in kept.items():
                self._evaluate_reader(model, name, examples, figures, hints=options["hints"])
        if folders and not options["hints"]:  # hints make another question of it
            self._evaluate_together(compared, folders, figures, save=not options["no_save"])
        if options["rejection"]:
            self._evaluate_rejection(model, figures, options["n"], options["seed"])
        curves.write_json(options["json"], figures, self.answer)

    def _version(self, slug: str, number: int | None) -> ModelVersion:
        versions = ModelVersion.objects.filter(slug=slug)
        if number is None:
            version = versions.filter(state=ModelVersion.State.SERVING).first()
        else:
            version = versions.filter(version=number).first()
        if version is None:
            wanted = f"{slug}/{number}" if number else f"serving version of {slug}"
            raise CommandError(f"There is no {wanted}. manage.py models lists what there is.")
        return version

    def _beside(self, version: ModelVersion, number: int | None, *, alone: bool) -> list[ModelVersion]:
        """The version to compare with: the one asked for, else the serving one, if it is another."""
        if number is None:
            return [] if alone else self._serving_beside(version)
        other = self._version(version.slug, number)
        return [] if other == version else [other]

    def _serving_beside(self, version: ModelVersion) -> list[ModelVersion]:
        """The serving version to compare with, if it is another one and loads."""
        serving = ModelVersion.objects.filter(slug=version.slug, state=ModelVersion.State.SERVING)
        other = serving.exclude(pk=version.pk).first()
        if other is None:
            return []
        try:
            registry.open_model(other)
        except ArtifactError as error:
            self.stderr.write(self.style.WARNING(f"Not compared with {other}, which does not load: {error}"))
            return []
        return [other]

    def _unseen(
        self, compared: list[ModelVersion], folders: dict[str, list[Example]], figures: dict[str, Any]
    ) -> dict[str, list[Example]]:
        kept = unseen_by(compared, folders)
        who = "it was" if len(compared) == 1 else f"it or {compared[1]} was"
        for name, examples in folders.items():
            left_out = len(examples) - len(kept[name])
            self.stdout.write(
                f"{figures['model']} on {name}: {len(kept[name])} images; {left_out} left out, "
                f"{who} trained on them"
            )
            figures["folders"][name] = {"n_given": len(examples), "n_trained_on": left_out}
        return kept

    def _evaluate_together(
        self,
        compared: list[ModelVersion],
        folders: dict[str, list[Example]],
        figures: dict[str, Any],
        *,
        save: bool,
    ) -> None:
        """Store the figures of the version and its rival's, and say what the gate makes of them."""
        rows = evaluate_together(
            compared, folders, made_by="manage.py evaluate", save=save, progress=progress
        )
        if not rows:
            self.stdout.write("No image is left that could be judged; nothing is stored.")
            return
        figures["dataset_hash"] = rows[0].dataset_hash
        figures["compared"] = {
            str(row.version): {"n": row.n, "right": row.right, "ece": row.ece} for row in rows
        }
        self.stdout.write(
            f"{'stored' if save else 'not stored'}, data set {rows[0].dataset_hash[:12]}: "
            + ", ".join(f"{row.version} {row.right} of {row.n}" for row in rows)
        )
        if save and len(rows) > 1 and compared[1].state == ModelVersion.State.SERVING:
            verdict = judge(*compared)
            outcome = "it may be promoted" if verdict.passed else "not to be promoted"
            self.stdout.write(f"{outcome}: {verdict.line}")

    def _evaluate_reader(
        self, reader: Reader, name: str, examples: list[Example], figures: dict[str, Any], *, hints: bool
    ) -> None:
        if not examples:
            return
        constraints = evaluation.hints_of(examples) if hints else Constraints()
        outcomes = list(progress(evaluation.read_examples(reader, examples, constraints), len(examples)))
        measured = evaluation.reader_figures(
            outcomes, arithmetic=reader.spec.arithmetic, min_confidence=reader.spec.min_confidence
        )
        figures["folders"][name] |= {"hints": str(constraints)} | measured
        self.stdout.write(describe(measured))  # type: ignore[arg-type]
        if "value_right" in measured:
            self.stdout.write(f"value right              {describe_interval(measured['value_right'])}")
        served = measured["served"]
        if served["min_confidence"]:
            self.stdout.write(
                f"served, confidence from {served['min_confidence']:.2f}: answered "
                f"{describe_interval(served['answered'])}, of these right "
                f"{describe_interval(served['answered_right'])}"
            )

    def _evaluate_types(
        self, classifier: TypeClassifier, folders: dict[str, list[Example]], figures: dict[str, Any]
    ) -> None:
        if not folders:
            return
        measured = evaluation.decide_examples(classifier, folders, progress)
        for name, shares in measured["folders"].items():
            figures["folders"][name] |= shares
            taken = ", ".join(f"{label} {count}" for label, count in shares["taken_for"].items())
            right = describe_interval(shares["exact_match"])
            self.stdout.write(f"{name} is {shares['truth']}: right {right} ({taken or 'none'})")
        figures |= {"n": measured["n"], "exact_match": measured["exact_match"]}
        self.stdout.write(f"type decision            {describe_interval(measured['exact_match'])}")

    def _evaluate_rejection(
        self, model: Reader | TypeClassifier, figures: dict[str, Any], n: int, seed: int
    ) -> None:
        serving = registry.recognizer()
        types = model if isinstance(model, TypeClassifier) else serving.types
        general = serving.general
        if isinstance(model, Reader) and model.spec.slug == GENERAL_SLUG:
            general = model
        recognizer = Recognizer(types, {}, general)
        try:
            measured = evaluation.rejection_figures(recognizer, n=n, seed=seed, progress=progress)
        except NoFonts as error:
            raise CommandError(str(error)) from error
        figures["rejection"] = measured
        self.stdout.write(
            f"{n} drawn pictures of no known type (seed {seed})\n"
            f"taken for a known type   {describe_interval(measured['taken_for_a_type'])}\n"
            f"no captcha, yet answered {describe_interval(measured['no_captcha_answered'])}"
        )
        for kind, counts in measured["kinds"].items():
            self.stdout.write(
                f"  {kind}: {counts['n']}, taken for a type {counts['taken_for_a_type']}, "
                f"answered by the general reader {counts['general_answered']}"
            )
