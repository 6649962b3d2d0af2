from django.apps import AppConfig

from jobs import kinds


class OwnTypesConfig(AppConfig):
    default_auto_field = "django.db.models.BigAutoField"
    name = "own_types"
    verbose_name = "types of customers"

    def ready(self) -> None:
        from accounts import departures, personal_data
        from own_types import export, services

        command = "settle_trainings"
        title = "Pay back trainings that came to nothing, and delete what deleted types left"
        kinds.register(kinds.Kind(name=command, command=command, title=title, restartable=True))
        departures.register(services.delete_types_of)
        personal_data.register(export.add_types)
