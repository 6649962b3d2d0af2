from django.apps import AppConfig

from jobs import kinds


class LabelingConfig(AppConfig):
    name = "labeling"
    verbose_name = "labelling"

    def ready(self) -> None:
        from labeling.training import PREDICT, TRAIN  # the models it needs are loaded by now

        kinds.register(TRAIN)
        kinds.register(PREDICT)
