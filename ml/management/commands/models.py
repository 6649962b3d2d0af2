"""List the models: what serves, what could."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from jobs.commands import TaskCommand, add_json
from ml.models import ModelVersion
from ml.selectors import accuracy_of, shadow_score


class Command(TaskCommand):
    help = (
        "Lists every registered model with its state and its exact match on images it was not trained on; "
        "below it, what was evaluated here and how it does in shadow."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        versions = ModelVersion.objects.select_related("captcha_type__owner").prefetch_related("evaluations")
        if options["json"]:
            self.give([_facts(version) for version in versions])
            return
        if not versions:
            self.answer.write("No model is registered. Register the shipped ones: manage.py install_models")
        width = max((len(str(version)) for version in versions), default=0)
        for version in versions:
            accuracy = accuracy_of(version.metrics) or "not measured"
            notes = [version.get_state_display().ljust(9), version.get_origin_display(), str(accuracy)]
            if version.captcha_type is not None and version.captcha_type.owner is not None:
                notes.append(f"private to {version.captcha_type.owner}")
            if version.load_error:
                notes.append(self.style.ERROR(version.load_error))
            self.answer.write(f"{str(version).ljust(width)}  {'  '.join(notes)}")
            for evaluation in version.evaluations.all():
                self.answer.write(
                    f"{'':{width}}    evaluated {evaluation.created:%Y-%m-%d}: {evaluation}, "
                    f"data set {evaluation.dataset_hash[:12]}"
                )
            if version.shadow_since is not None:
                since = f"{version.shadow_since:%Y-%m-%d %H:%M} UTC"
                self.answer.write(f"{'':{width}}    in shadow since {since}: {shadow_score(version)}")


def _facts(version: ModelVersion) -> dict[str, Any]:
    accuracy = accuracy_of(version.metrics)
    owner = version.captcha_type.owner if version.captcha_type is not None else None
    return {
        "version": str(version),
        "state": version.state,
        "origin": version.origin,
        "private_to": owner.get_username() if owner is not None else None,
        "load_error": version.load_error,
        "accuracy": asdict(accuracy) if accuracy is not None else None,
        "evaluations": [
            {"data_set": one.dataset_hash, "n": one.n, "right": one.right, "ece": one.ece}
            for one in version.evaluations.all()
        ],
        "shadow": asdict(shadow_score(version)) if version.shadow_since is not None else None,
    }
