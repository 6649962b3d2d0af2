"""``manage.py delete_kept_images``: for a schedule, such as every ten minutes."""

from typing import Any

from django.core.management.base import BaseCommand

from solving import kept_images


class Command(BaseCommand):
    help = "Delete the images of solves that can no longer be reported (REPORT_WINDOW_MINUTES)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{kept_images.delete_expired()} images deleted")
