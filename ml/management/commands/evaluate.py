"""How well a registered model reads labelled images."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ml import evaluation, registry
from ml.management.arguments import load_folders, progress
from ml.models import GENERAL_SLUG, TYPES_SLUG, ModelVersion
from ml.recognition.artifacts import ArtifactError, trained_on
from ml.recognition.datasets import Example
from ml.recognition.decoding import Constraints
from ml.recognition.metrics import describe, describe_interval
from ml.recognition.pipeline import Recognizer
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.synthesis.fonts import NoFonts


class Command(BaseCommand):
    help = (
        "Measures a model on folders of labelled images: exact match with 95 % Wilson intervals, character "
        "error rate, calibration, confusions. Images that the version was trained on are left out."
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
        parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
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
        try:
            model = registry.open_model(version)
            seen = trained_on(version.path)
        except ArtifactError as error:
            raise CommandError(str(error)) from error
        folders = load_folders(options["images"])
        figures: dict[str, Any] = {"model": str(version), "folders": {}}
        if isinstance(model, TypeClassifier):
            kept = {
                name: self._untrained(name, examples, seen, figures) for name, examples in folders.items()
            }
            self._evaluate_types(model, kept, figures)
        else:
            for name, examples in folders.items():
                unseen = self._untrained(name, examples, seen, figures)
                self._evaluate_reader(model, name, unseen, figures, hints=options["hints"])
        if options["rejection"]:
            self._evaluate_rejection(model, figures, options["n"], options["seed"])
        if options["json"]:
            options["json"].write_text(
                json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )

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

    def _untrained(
        self, name: str, examples: list[Example], seen: frozenset[str], figures: dict[str, Any]
    ) -> list[Example]:
        kept = evaluation.untrained(examples, seen)
        left_out = len(examples) - len(kept)
        self.stdout.write(
            f"{figures['model']} on {name}: {len(kept)} images; {left_out} left out, it was trained on them"
        )
        figures["folders"][name] = {"n_given": len(examples), "n_trained_on": left_out}
        return kept

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
