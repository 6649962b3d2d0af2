"""Read images with ddddocr, one thread: paths come on standard input, CPU times and texts go out as JSON.

    python peer_ddddocr.py default|beta < paths

Runs in an environment of its own and imports nothing of this project.
"""

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import onnxruntime


def limit_to_one_thread() -> None:
    """ddddocr opens its session with ONNX Runtime's defaults: a thread for each core."""
    session_of_defaults = onnxruntime.InferenceSession

    def session(model: Any, *args: Any, **options: Any) -> Any:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        options.setdefault("sess_options", settings)
        return session_of_defaults(model, *args, **options)

    onnxruntime.InferenceSession = session


def main() -> None:
    limit_to_one_thread()
    import ddddocr

    reader = ddddocr.DdddOcr(show_ad=False, beta=sys.argv[1] == "beta")
    times, texts = [], []
    for path in sys.stdin.read().splitlines():
        data = Path(path).read_bytes()
        start = process_time()
        texts.append(reader.classification(data))
        times.append((process_time() - start) * 1000)
    print(json.dumps({"cpu_ms": times, "texts": texts}))


if __name__ == "__main__":
    main()
