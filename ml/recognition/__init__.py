"""Reading captchas: a plain library that knows no Django.

Serving needs NumPy, Pillow and ONNX Runtime only; Keras is imported by ``networks``, ``ctc``,
``training`` and ``export`` alone.
"""
