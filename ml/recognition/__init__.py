"""Reading captchas: a plain library that knows no Django.

Serving needs NumPy, Pillow and ONNX Runtime only; Keras is imported by ``networks``, ``ctc``,
``training`` and ``export`` alone.
"""

import os

# Otherwise ONNX Runtime keeps an id of the machine below $HOME, and events to upload.
# It looks when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
