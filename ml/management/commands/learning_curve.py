"""How many labels a type needs, and which of those there are are probably wrong."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.management import curves
from ml.management.arguments import require_training
from ml.recognition.audit.curve import Curve, Point, Suspects
from ml.recognition.audit.forecast import Forecast
from ml.recognition.audit.learning_page import learning_page
from ml.recognition.audit.state import write_whole
from ml.recognition.datasets import Example, content_hash
from ml.recognition.metrics import describe_interval
from ml.training_runs import starting_weights


class Command(TaskCommand):
    help = (
        "Trains on more and more of the labelled images, tests on others that are set aside first, and says "
        "how many labels a goal takes. Reads every image with readers that never saw it and lists the labels "
        "that are probably wrong. Writes one page and, with --json, the same facts. A stopped run goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        curves.add_arguments(parser)
        parser.add_argument("--goal", type=float, default=99.0, metavar="PERCENT", help="default 99")
        parser.add_argument("--folds", type=int, default=5, help="readers that look for wrong labels")
        parser.add_argument("--no-suspects", action="store_true", help="do not look for wrong labels")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 < options["goal"] < 100:
            raise CommandError("--goal is a percentage between 0 and 100, such as 99.")
        if options["folds"] < 2:
            raise CommandError("--folds takes at least 2.")
        curves.check_slug(options["type"])
        with curves.plain_ends() as kept:
            examples, findings = curves.load(options["images"], self.stderr)
            require_training()
            start = starting_weights(options["start"])
            if start is not None:
                curves.refuse_a_start_that_saw(start, examples)
            curves.check_writable(options["out"], options["json"])
            curve, suspects, reason = self._measure(examples, options, start, kept)
            forecast = curve.forecast(options["goal"] / 100)
            made = curves.how_it_was_made(examples, options, start or Path("none/reader.keras"))
            page = options["out"] or kept.beside("learning-curve.html")
            html = learning_page(options["type"], curve, forecast, suspects, reason, examples, findings, made)
            write_whole(page, html)
            facts = _facts(options["type"], examples, curve, forecast, suspects)
            facts["findings"] = curves.finding_facts(findings)
            curves.write_json(options["json"], facts, self.answer)
        self._tell(forecast, suspects, reason, page)

    def _measure(
        self, examples: list[Example], options: dict[str, Any], start: Path | None, kept: curves.Kept
    ) -> tuple[Curve, Suspects | None, str]:
        from ml.recognition.training import learning_curve as run
        from ml.recognition.training.suspects import find_suspects

        chosen = {name: options[name] for name in ("minutes", "steps") if options[name] is not None}
        config = run.CurveConfig(
            counts=tuple(options["counts"]),
            draws=options["draws"],
            train=run.tuning.TrainConfig(seed=options["seed"], **chosen),
        )
        results = run.results_of(curves.state_root(options), options["type"], examples, config, start)
        results.prepare()
        kept.folder = results.folder
        bar = curves.Bar(options["type"], [6, 0 if options["no_suspects"] else options["folds"]], kept)
        try:
            curve = run.learning_curve(
                options["type"],
                examples,
                config=config,
                start=start,
                results=results,
                progress=bar.part(0),
                report=self._report,
            )
            if options["no_suspects"]:
                return curve, None, "Not looked for, as --no-suspects asked."
            try:
                suspects = find_suspects(
                    options["type"],
                    examples,
                    folds=options["folds"],
                    config=config.train,
                    start=start,
                    results=results,
                    progress=bar.part(1),
                )
            except (*run.TOO_LITTLE, run.NoCurve) as error:
                return curve, None, f"Not looked for: {error}."
            return curve, suspects, ""
        finally:
            bar.close()

    def _report(self, point: Point) -> None:
        self.stdout.write(
            f"{point.labels:5d} labels: {describe_interval(point.exact_match)}, "
            f"{point.seconds:.0f} s ({point.cpu_seconds:.0f} s CPU)"
        )

    def _tell(self, forecast: Forecast, suspects: Suspects | None, reason: str, page: Path) -> None:
        self.stdout.write(forecast.line)
        if suspects is None:
            self.stdout.write(f"labels that are probably wrong: {reason}")
        else:
            found = suspects.suspects
            self.stdout.write(f"labels that are probably wrong: {len(found)} of {suspects.agreement['n']}")
            for suspect in found[:10]:
                self.stdout.write(
                    f"  {suspect.image}: label {suspect.label}, read {suspect.read} "
                    f"({suspect.confidence:.3f} against {suspect.label_probability:.3f})"
                )
        self.stdout.write(f"page: {page}")


def _facts(
    slug: str, examples: list[Example], curve: Curve, forecast: Forecast, suspects: Suspects | None
) -> dict[str, Any]:
    return {
        "type": slug,
        "n": len(examples),
        "dataset_hash": content_hash(examples),
        "curve": curve.facts(),
        "forecast": {
            "goal": forecast.goal,
            "status": forecast.status,
            "line": forecast.line,
            "labels": forecast.labels,
            "low": forecast.low,
            "high": forecast.high,
        },
        "suspects": suspects.facts() if suspects else None,
    }
