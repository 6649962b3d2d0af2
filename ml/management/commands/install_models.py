"""Register the models that come with the program; safe to run at every start."""

from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.models import ModelVersion
from ml.services import install_shipped_models


class Command(TaskCommand):
    help = "Registers the shipped models and lets the newest serve. Changes nothing when run again."

    def handle(self, *args: Any, **options: Any) -> None:
        report = install_shipped_models()
        for error in report.errors:
            self.stderr.write(self.style.ERROR(error))
        for version in report.promoted:
            self.stdout.write(f"{version} serves")
        changed = [version for version in report.registered if version not in report.promoted]
        for version in changed:
            self.stdout.write(f"{version} registered ({version.get_state_display()})")
        self.stdout.write(f"{len(report.registered)} models registered, {len(report.unchanged)} as before.")
        reads = ModelVersion.objects.filter(state=ModelVersion.State.SERVING, kind=ModelVersion.Kind.READER)
        if not reads.exists():
            raise CommandError("No reader serves: nothing can be solved.")
