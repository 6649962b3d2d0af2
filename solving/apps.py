"""The app's name in Django, and its jobs for a schedule."""

from django.apps import AppConfig


class SolvingConfig(AppConfig):
    name = "solving"

    def ready(self) -> None:
        from jobs import kinds

        for command, title in (
            ("settle_reports", "Settle reports of wrong answers"),
            ("deliver_callbacks", "Deliver callbacks that are due"),
            ("sum_up_days", "Sum up the solves of the days that have ended"),
            ("delete_kept_images", "Delete images of solves past the time for reports"),
        ):
            kinds.register(kinds.Kind(name=command, command=command, title=title, restartable=True))
