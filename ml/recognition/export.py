"""Export: a trained Keras network to ONNX in fp32, then to int8, each checked against the one before."""

import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime

LARGEST_DIFFERENCE = 1e-3
"""Largest difference of a logit between Keras and fp32 ONNX that counts as the same network."""

_OPSET = 18


class ExportError(RuntimeError):
    """The exported network does not answer like the trained one."""


@dataclass(frozen=True)
class Parity:
    """How far apart two networks are on the same images."""

    largest_difference: float
    images: int


def export_onnx(network: keras.Model, path: Path, samples: list[np.ndarray]) -> Parity:
    """Write `network` as fp32 ONNX (input `images`, output `logits`) and check it on `samples`.

    `samples`: batches (n, height, width, 3) uint8 of several widths. Raises ExportError when a logit
    differs by more than LARGEST_DIFFERENCE.
    """
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    shape = (None, *network.input_shape[1:])
    signature = (tf.TensorSpec(shape, tf.uint8, name="images"),)

    @tf.function(input_signature=signature)
    def serve(images: Any) -> dict[str, Any]:
        return {"logits": network(images, training=False)}

    tf2onnx.convert.from_function(serve, input_signature=signature, opset=_OPSET, output_path=str(path))
    parity = compare(network, path, samples)
    if not parity.largest_difference <= LARGEST_DIFFERENCE:
        raise ExportError(
            f"ONNX and Keras differ by {parity.largest_difference:.2g} on {parity.images} images"
        )
    return parity


def quantize(source: Path, target: Path, calibration: list[np.ndarray]) -> None:
    """Static int8 (QDQ, weights per channel) of the fp32 network at `source`.

    `calibration`: batches (n, height, width, 3) uint8 that show what the network will see.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shape inference would want sympy, and nothing here needs it.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        # Logits in steps of 1/255 of their range tie: with its head in int8 a reader fell from 52 % to 46 %
        # on one set, and with its head in fp32 on none of six, at the same speed.
        heads = [node.name for node in onnx.load(prepared).graph.node if "/head" in node.name]
        quantize_static(
            str(prepared),
            str(target),
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "MaxPool", "Relu"],
            nodes_to_exclude=heads,
        )


def onnx_logits(path: Path, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The logits of each batch by ONNX Runtime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in batches:
        yield session.run(["logits"], {"images": batch})[0]


def compare(network: keras.Model, path: Path, samples: list[np.ndarray]) -> Parity:
    """The largest difference of a logit between the Keras network and the ONNX file."""
    largest = 0.0
    for batch, exported in zip(samples, onnx_logits(path, samples), strict=True):
        trained = np.asarray(network(batch, training=False))
        largest = max(largest, float(np.abs(trained - exported).max()))
    return Parity(largest, sum(len(batch) for batch in samples))


class _Calibration:
    """What ONNX Runtime's quantizer reads its samples from."""

    def __init__(self, batches: list[np.ndarray]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}
