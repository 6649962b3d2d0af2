"""What joins the apps when Django starts: jobs of the whole service, and what a deleted user takes along."""

from django.apps import AppConfig


class CaptchaSiteConfig(AppConfig):
    name = "captcha_site"

    def ready(self) -> None:
        from accounts import departures
        from captcha_site import static_files  # noqa: F401 (its check registers itself)
        from jobs.kinds import Kind, register
        from solving import retention

        register(Kind("prune", "prune", "Delete what is past its time", restartable=True))
        register(Kind("check_ledger", "check_ledger", "Compare balances with the ledger", restartable=True))
        register(Kind("backup", "backup", "Back up the database and its files", restartable=True))
        departures.register(retention.delete_images_of)
