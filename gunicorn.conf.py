"""How gunicorn serves the project; it reads this file by itself when started in this folder.

GUNICORN_CMD_ARGS and the command line go before what stands here.
"""

import os
from pathlib import Path

# No preloading: an ONNX Runtime session does not survive a fork, so that each worker opens its own.
wsgi_app = "captcha_site.wsgi"
bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
timeout = 30
graceful_timeout = 20
MEMORY = Path("/dev/shm")  # noqa: S108 (gunicorn picks an unguessable name in it)
worker_tmp_dir = str(MEMORY) if MEMORY.is_dir() else None  # a heartbeat must not wait for a disk
control_socket_disable = True  # it would be opened in $HOME, which a container may not let it write
accesslog = None
