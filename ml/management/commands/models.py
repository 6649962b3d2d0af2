"""List the models: what serves, what could."""

from typing import Any

from django.core.management.base import BaseCommand

from ml.models import ModelVersion
from ml.selectors import accuracy_of, shadow_score


class Command(BaseCommand):
    help = (
        "Lists every registered model with its state and its exact match on images it was not trained on; "
        "below it, what was evaluated here and how it does in shadow."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        versions = ModelVersion.objects.select_related("captcha_type__owner").prefetch_related("evaluations")
        if not versions:
            self.stdout.write("No model is registered. Register the shipped ones: manage.py install_models")
        width = max((len(str(version)) for version in versions), default=0)
        for version in versions:
            accuracy = accuracy_of(version.metrics) or "not measured"
            notes = [version.get_state_display().ljust(9), version.get_origin_display(), str(accuracy)]
            if version.captcha_type is not None and version.captcha_type.owner is not None:
                notes.append(f"private to {version.captcha_type.owner}")
            if version.load_error:
                notes.append(self.style.ERROR(version.load_error))
            self.stdout.write(f"{str(version).ljust(width)}  {'  '.join(notes)}")
            for evaluation in version.evaluations.all():
                self.stdout.write(
                    f"{'':{width}}    evaluated {evaluation.created:%Y-%m-%d}: {evaluation}, "
                    f"data set {evaluation.dataset_hash[:12]}"
                )
            if version.shadow_since is not None:
                since = f"{version.shadow_since:%Y-%m-%d %H:%M} UTC"
                self.stdout.write(f"{'':{width}}    in shadow since {since}: {shadow_score(version)}")
