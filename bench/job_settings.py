"""The service's own settings with no apps but those that a job's state needs: half the start of a process."""

from captcha_site.settings import *  # noqa: F403

INSTALLED_APPS = ["accounts", "jobs", "django.contrib.auth", "django.contrib.contenttypes"]
