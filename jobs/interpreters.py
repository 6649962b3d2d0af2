"""Which Python runs a job: the web process holds no TensorFlow, a training needs it."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from django.conf import settings

from jobs.kinds import Kind

USUAL_TRAINING_PYTHON = ".venv-training/bin/python"


class NoTrainingPython(Exception):
    """No interpreter with the training packages is known; `command` is the line to type instead."""

    def __init__(self, kind: Kind, args: Sequence[str]) -> None:
        self.command = shlex.join([USUAL_TRAINING_PYTHON, "manage.py", kind.command, *args])
        super().__init__(
            "Training needs an environment of its own. Make it with `make training` and restart the service, "
            f"or type: {self.command}"
        )


def interpreter_for(kind: Kind, args: Sequence[str] = ()) -> str:
    """The Python that runs a job of this kind.

    Raises:
        NoTrainingPython: the kind needs the training packages, and no known interpreter has them.
    """
    if not kind.needs_training:
        return sys.executable
    if settings.TRAINING_PYTHON:
        found = shutil.which(settings.TRAINING_PYTHON)
        if found:
            return found
    elif find_spec("tensorflow"):  # looked for, not imported: a worker may live in the training environment
        return sys.executable
    raise NoTrainingPython(kind, args)


def command_to_type(kind: Kind, args: Sequence[str]) -> str:
    """The line that runs such a job where no button can; empty where one can."""
    if settings.CELERY_BROKER_URL:  # the workers' environment decides, which is not seen from here
        return ""
    try:
        interpreter_for(kind, args)
    except NoTrainingPython as missing:
        return missing.command
    return ""
