"""How gunicorn serves the project; it reads this file by itself when started in this folder.

GUNICORN_CMD_ARGS and the command line go before what stands here.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from captcha_site import environment, logs

# No preloading: an ONNX Runtime session does not survive a fork, so that each worker opens its own.
wsgi_app = "captcha_site.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
timeout = 30
graceful_timeout = 20
MEMORY = Path("/dev/shm")  # noqa: S108 (gunicorn picks an unguessable name in it)
worker_tmp_dir = str(MEMORY) if MEMORY.is_dir() else None  # a heartbeat must not wait for a disk
control_socket_disable = True  # it would be opened in $HOME, which a container may not let it write
accesslog = None  # captcha_site.observation writes a better one

_format = environment.text("LOG_FORMAT") or ("line" if environment.boolean("DEBUG") else "json")
_level = environment.text("LOG_LEVEL", "INFO")
logconfig_dict = logs.configuration(style=_format, level=_level) | {
    "loggers": {"gunicorn.error": {"handlers": [], "propagate": True}}
}

# Each worker counts in a file of its own; whichever is asked for /metrics adds them up.
FIGURES = "PROMETHEUS_MULTIPROC_DIR"
_made_here = FIGURES not in os.environ
if _made_here:
    os.environ[FIGURES] = tempfile.mkdtemp(prefix="captcha-figures-", dir=worker_tmp_dir)


def child_exit(server: Any, worker: Any) -> None:
    """A dead worker's counts stay in the sums, its gauges do not."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server: Any) -> None:
    if _made_here:
        shutil.rmtree(os.environ[FIGURES], ignore_errors=True)
