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
_BLOCK = 4
"""Columns that the first convolution of an int8 network reads as one pixel."""
_BLOCKS, _PIXELS = "blocks", "pixels"


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
    """Static int8 (QDQ, weights per channel) of the fp32 network at `source`, arranged to run fast.

    It takes images whose width is a multiple of 4. `calibration`: batches (n, height, width, 3) uint8 that
    show what the network will see. Raises ExportError where the network is built in another way than ours.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        # Symbolic shape inference would want sympy, and nothing here needs it.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        network = _Network(onnx.load(prepared))
        pixels = _read_blocks(network)
        # Logits in steps of 1/255 of their range tie: with its head in int8 a reader fell from 52 % to 46 %
        # on one set, and with its head in fp32 on none of six, at the same speed.
        head = _head_by_frame(network)
        network.save(prepared)
        quantize_static(
            str(prepared),
            str(target),
            _Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "MaxPool", "Relu", "Transpose", "Reshape"],
            nodes_to_exclude=[_BLOCKS, _PIXELS, *head],
            extra_options={"TensorQuantOverrides": {_PIXELS: [pixels]}},
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


class _Network:
    """An ONNX graph to rearrange, its nodes found by the values they take."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.graph = model.graph

    def follow(self, value: str, *operators: str) -> list[onnx.NodeProto]:
        """The nodes from `value` on, one of each of `operators`; ExportError where there are others."""
        nodes = []
        for operator in operators:
            node = next((node for node in self.graph.node if value in node.input), None)
            if node is None or node.op_type != operator:
                raise ExportError(f"the network has no {operator} after {value}")
            nodes.append(node)
            value = node.output[0]
        return nodes

    def constant(self, name: str) -> np.ndarray:
        weight = next(weight for weight in self.graph.initializer if weight.name == name)
        return np.asarray(onnx.numpy_helper.to_array(weight))

    def weights(self, convolution: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias; of a network that was never trained the exporter leaves the bias out."""
        kernel, *bias = map(self.constant, convolution.input[1:])
        return kernel, bias[0] if bias else np.zeros(len(kernel), np.float32)

    def add_constant(self, name: str, value: np.ndarray) -> str:
        self.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        return name

    def replace(self, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Put `new` where the first of `old` was."""
        place = list(self.graph.node).index(old[0])
        kept = [node for node in self.graph.node if node not in old]
        del self.graph.node[:]
        self.graph.node.extend([*kept[:place], *new, *kept[place:]])

    def save(self, path: Path) -> None:
        used = {name for node in self.graph.node for name in node.input}
        for weight in [weight for weight in self.graph.initializer if weight.name not in used]:
            self.graph.initializer.remove(weight)
        # The shapes of what was replaced would contradict what is there now.
        del self.graph.value_info[:]
        onnx.save(onnx.shape_inference.infer_shapes(self.model), path)


def _read_blocks(network: _Network) -> dict[str, np.ndarray]:
    """Let the first convolution read blocks of four columns as pixels of twelve colours.

    It sums the same products, besides zeros, but over twelve colours ONNX Runtime is fast: the first layer
    of a reader takes half the time. A block has the outputs of several columns, one after another.

    The bytes become the convolution's int8 input as they are: x / 127.5 - 1 is (x - 128) / 127.5 and a
    constant, which the bias takes. So just the padding is another, a grey of 128 for one of 127.5.
    Returns the quantisation of the value _PIXELS that says so.
    """
    nodes = network.follow("images", "Cast", "Mul", "Add", "Transpose", "Conv", "Relu")
    _, multiply, add, _, convolution, relu = nodes
    scale, offset = (network.constant(node.input[1]) for node in (multiply, add))
    kernel, bias = network.weights(convolution)
    zero = np.rint(-offset / scale)
    bias = bias + kernel.sum(axis=(1, 2, 3)) * (offset + zero * scale)

    stride = next(a.ints[0] for a in convolution.attribute if a.name == "strides")
    height = network.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    rows = -(-height // stride)
    top, bottom = _padding(height, kernel.shape[2], stride)
    wide, left, right = _block_kernel(kernel, stride)
    columns = _BLOCK // stride
    shapes = [
        network.add_constant("blocks_shape", np.array([0, height, -1, wide.shape[1]])),
        network.add_constant("columns_shape", np.array([0, rows, -1, len(kernel)])),
    ]
    pixels: dict[str, np.ndarray] = {
        "scale": np.array(scale.item(), np.float32),
        "zero_point": np.array(zero.item(), np.uint8),
    }
    weights = [
        network.add_constant("stem_kernel", wide),
        network.add_constant("stem_bias", np.tile(bias, columns).astype(np.float32)),
    ]
    quantisation = [network.add_constant(f"pixels_{name}", value) for name, value in pixels.items()]
    node = onnx.helper.make_node
    network.replace(
        nodes,
        [
            node("Reshape", ["images", shapes[0]], [_BLOCKS], _BLOCKS),
            node("Transpose", [_BLOCKS], ["planes"], "planes", perm=[0, 3, 1, 2]),
            node("DequantizeLinear", ["planes", *quantisation], [_PIXELS], _PIXELS),
            node(
                "Conv",
                [_PIXELS, *weights],
                ["stem"],
                "stem",
                strides=[stride, 1],
                pads=[top, left, bottom, right],
            ),
            node("Relu", ["stem"], ["stem_relu"], "stem_relu"),
            # The columns of a block part again. Nothing is moved: ONNX Runtime computes with colours last.
            node("Transpose", ["stem_relu"], ["stem_blocks"], "stem_blocks", perm=[0, 2, 3, 1]),
            node("Reshape", ["stem_blocks", shapes[1]], ["stem_columns"], "stem_columns"),
            node("Transpose", ["stem_columns"], relu.output, "stem_planes", perm=[0, 3, 1, 2]),
        ],
    )
    return pixels


def _block_kernel(kernel: np.ndarray, stride: int) -> tuple[np.ndarray, int, int]:
    """The kernel over blocks for one over columns, and its padding in blocks to the left and right.

    `kernel`: (filters, colours, rows, columns). A block has _BLOCK / stride outputs, each its own filters.
    """
    filters, colours, rows, width = kernel.shape
    # The columns before the one of an output, in an image whose width is a multiple of the stride.
    before = _padding(_BLOCK, width, stride)[0]
    starts = [start - before for start in range(0, _BLOCK, stride)]
    left = -(starts[0] // _BLOCK)
    right = (starts[-1] + width - 1) // _BLOCK
    wide = np.zeros((len(starts), filters, _BLOCK, colours, rows, left + 1 + right), np.float32)
    for output, start in enumerate(starts):
        for column in range(width):
            block, within = divmod(start + column, _BLOCK)
            wide[output, :, within, :, :, left + block] = kernel[..., column]
    return wide.reshape(len(starts) * filters, _BLOCK * colours, rows, -1), left, right


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, of the padding "same"."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _head_by_frame(network: _Network) -> list[str]:
    """Let a reader's head be one product of matrices by frame; return the names of its nodes.

    As the exporter leaves it, it goes through three layouts and computes its shape anew for each image.
    """
    head = next((node for node in network.graph.node if "/head" in node.name), None)
    if head is None:
        return []
    old, values = [], set(head.output)
    for node in network.graph.node:
        if node is head or values.intersection(node.input):
            old.append(node)
            values.update(node.output)
    kernel, bias = network.weights(head)
    row = network.add_constant("head_row", np.array([2]))
    matrix = network.add_constant("head_matrix", kernel[:, :, 0, 0].T)
    summand = network.add_constant("head_summand", bias)
    node = onnx.helper.make_node
    new = [
        node("Squeeze", [head.input[0], row], ["head_features"], "head_features"),
        node("Transpose", ["head_features"], ["head_frames"], "head_frames", perm=[0, 2, 1]),
        node("MatMul", ["head_frames", matrix], ["head_product"], "head_product"),
        node("Add", ["head_product", summand], ["logits"], "head_bias"),
    ]
    network.replace(old, new)
    return [node.name for node in new]
