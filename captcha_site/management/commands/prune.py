"""``manage.py prune``: delete what is past its time, as the settings say."""

from typing import Any

from django.core.management.base import BaseCommand

from captcha_site import retention


class Command(BaseCommand):
    help = "Delete what is past its time (the settings …_DAYS), in small batches. For a schedule, every hour."

    def handle(self, *args: Any, **options: Any) -> None:
        for pruned in retention.prune():
            self.stdout.write(f"{pruned.count:,} {pruned.what}")
