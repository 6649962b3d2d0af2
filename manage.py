#!/usr/bin/env python
"""Django's command line: ``python manage.py help`` lists what there is."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "captcha_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # the line that says what to set, without the way to it
        sys.exit(f"{error}\nTo try the service on this machine, put DEBUG=1 into the file .env.")


if __name__ == "__main__":
    main()
