"""How strong a captcha is, for those who own it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from jobs.commands import TaskCommand
from ml.management import curves
from ml.management.arguments import require_training
from ml.recognition.audit.advice import FOR_OWNERS, advise, headline
from ml.recognition.audit.curve import Curve
from ml.recognition.audit.state import Results, write_whole
from ml.recognition.audit.strength import Audit, ablate, kind_of, read_untrained
from ml.recognition.audit.strength_page import audit_page
from ml.recognition.datasets import Example, content_hash, hash_bytes
from ml.recognition.metrics import describe_interval
from ml.recognition.reader import Reader
from ml.training_runs import CannotTrain, starting_weights

USUAL_COUNTS = (25, 100)
"""Labels that somebody types in minutes; all there are come besides."""


class Command(TaskCommand):
    help = (
        "Measures what a captcha withstands: the general reader without a label, readers trained on a few "
        "labels, the time an answer takes, and what each defence in the image is worth; and says what to do. "
        f"{FOR_OWNERS} Writes one page and, with --json, the same facts. A stopped run goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        curves.add_arguments(parser)
        parser.add_argument(
            "--drawn", type=curves.positive, default=100, metavar="N",
            help="captchas to draw for each set of defences, default 100",
        )  # fmt: skip
        parser.add_argument("--no-training", action="store_true", help="leave out the readers with labels")
        parser.add_argument("--no-defences", action="store_true", help="draw nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        curves.check_slug(options["type"])
        self.stdout.write(FOR_OWNERS)
        with curves.plain_ends() as kept:
            examples, findings = curves.load(options["images"], self.stderr)
            start = starting_weights(options["start"])
            if start is None:
                raise CannotTrain("An audit reads with the general reader: --from none leaves none")
            curves.refuse_a_start_that_saw(start, examples)
            if not options["no_training"]:
                require_training()
            curves.check_writable(options["out"], options["json"])
            audit = self._measure(examples, options, start, kept)
            page = options["out"] or kept.beside("audit.html")
            made = curves.how_it_was_made(examples, options, start)
            write_whole(page, audit_page(audit, kind_of(examples), findings, made))
            facts = audit.facts() | {
                "dataset_hash": content_hash(examples),
                "headline": headline(audit),
                "advice": advise(audit),
                "for_owners": FOR_OWNERS,
                "findings": curves.finding_facts(findings),
            }
            curves.write_json(options["json"], facts, self.answer)
        self._tell(audit, page)

    def _measure(
        self, examples: list[Example], options: dict[str, Any], start: Path, kept: curves.Kept
    ) -> Audit:
        reader = Reader(start.parent)
        untrained = read_untrained(reader, examples)
        results = Results(
            curves.state_root(options),
            {
                "audit": options["type"],
                "dataset": content_hash(examples),
                "reader": reader.sha256,
                "start": hash_bytes(start.read_bytes()),
            },
        )
        results.prepare()
        kept.folder = results.folder
        curve_weight = 0 if options["no_training"] else 9
        bar = curves.Bar(options["type"], [0 if options["no_defences"] else 1, curve_weight], kept)
        try:
            ablation = None
            if not options["no_defences"]:
                ablation = ablate(
                    reader,
                    kind_of(examples),
                    n=options["drawn"],
                    results=results,
                    progress=bar.part(0),
                )
            curve = None if options["no_training"] else self._curve(examples, options, start, bar)
        finally:
            bar.close()
        return Audit(options["type"], len(examples), untrained, curve, ablation)

    def _curve(self, examples: list[Example], options: dict[str, Any], start: Path, bar: curves.Bar) -> Curve:
        """The learning curve's own results, so that either command goes on from the other's."""
        from ml.recognition.training import learning_curve as run

        chosen = {name: options[name] for name in ("minutes", "steps") if options[name] is not None}
        config = run.CurveConfig(
            counts=tuple(options["counts"]),
            usual=USUAL_COUNTS,
            draws=options["draws"],
            train=run.tuning.TrainConfig(seed=options["seed"], **chosen),
        )
        return run.learning_curve(
            options["type"],
            examples,
            config=config,
            start=start,
            results=run.results_of(curves.state_root(options), options["type"], examples, config, start),
            progress=bar.part(1),
        )

    def _tell(self, audit: Audit, page: Path) -> None:
        untrained = audit.untrained
        self.stdout.write(f"no label, no hints:   {describe_interval(untrained.no_hints)}")
        self.stdout.write(f"no label, with hints: {describe_interval(untrained.hinted)}")
        for point in audit.curve.points if audit.curve else ():
            self.stdout.write(
                f"{point.labels:5d} labels, {point.seconds:.0f} s: {describe_interval(point.exact_match)}"
            )
        self.stdout.write(f"an answer takes {untrained.cpu_ms:.2f} ms of one core")
        self.stdout.write(headline(audit))
        for line in advise(audit):
            self.stdout.write(f"- {line}")
        self.stdout.write(f"page: {page}")
