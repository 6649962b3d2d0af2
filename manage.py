#!/usr/bin/env python
"""The command line: ``python manage.py help`` lists what there is, by what one wants to do."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "captcha_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.db import OperationalError, ProgrammingError

    from captcha_site.command_line import CommandLine, trouble_with_database

    try:
        CommandLine(sys.argv).execute()
    except ImproperlyConfigured as error:  # the line that says what to set, without the way to it
        sys.exit(f"{error}\nTo try the service on this machine, put DEBUG=1 into the file .env.")
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv or not (line := trouble_with_database(error)):
            raise
        sys.exit(line)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
