#!/usr/bin/env python
"""The command line: ``python manage.py help`` lists what there is, by what one wants to do."""

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "captcha_site.settings")
    try:
        import django  # noqa: F401
    except ModuleNotFoundError:
        sys.exit(wrong_interpreter())
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


def wrong_interpreter() -> str:
    """What to run in place of an interpreter that has no Django."""
    here = Path(__file__).resolve().parent
    made = [
        name for name in (".venv", ".venv-dev", ".venv-training") if (here / name / "bin/python").exists()
    ]
    command = f"{made[0] if made else '.venv'}/bin/python manage.py"
    how = "" if made else " (make run makes that environment)"
    return f"Django is not installed for {sys.executable}. Run: {command}{how}"


if __name__ == "__main__":
    main()
