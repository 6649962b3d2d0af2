"""`python -m jobs.child COMMAND …`: a management command that ends with the process that watches over it.

A runner that is killed can stop nobody. It holds one end of a pipe, and this process the other: when the pipe
closes, the command is stopped as Ctrl-C would, and killed if it does not stop.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType

LIFELINE = "JOB_LIFELINE"
"""Names the pipe's descriptor in the environment."""
SECONDS_TO_STOP = 5.0


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "captcha_site.settings")
    signal.signal(signal.SIGTERM, _as_interrupt)
    lifeline = int(os.environ.pop(LIFELINE))
    os.set_inheritable(lifeline, False)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()

    from django.core.management import execute_from_command_line  # after the pipe is watched

    try:
        execute_from_command_line(["manage.py", *sys.argv[1:]])
    except KeyboardInterrupt:
        sys.exit(130)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """Commands clean up after Ctrl-C; SIGTERM shall be no different. A second one waits for them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the other end is closed
    group = os.getpgrp()  # its own, which the runner made: what the command started goes with it
    os.killpg(group, signal.SIGTERM)
    time.sleep(SECONDS_TO_STOP)
    os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
