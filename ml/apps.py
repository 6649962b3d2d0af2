"""The Django side of recognition: which models exist, which of them serve."""

from django.apps import AppConfig

from jobs import kinds


class MlConfig(AppConfig):
    """The app `ml`; `ml.recognition` below it is a plain library without Django."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "ml"
    verbose_name = "models"

    def ready(self) -> None:
        kinds.register(kinds.Kind("evaluate", "evaluate", "Evaluate a reader", restartable=True))
