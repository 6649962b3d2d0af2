"""The int8 networks are arranged to run fast, and answer as the trained ones do."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from ml.recognition.export import ExportError, compare, export_onnx, quantize
from ml.recognition.images import InputSize
from ml.recognition.networks import reader_network, type_network

pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow and ONNX warn about themselves

NETWORKS = [reader_network, type_network]


def images(width: int, count: int = 8) -> np.ndarray:
    """Smooth noise, as a picture is."""
    coarse = np.random.default_rng(width).integers(0, 256, (count, 10, width // 4, 3))
    return np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2).astype(np.uint8)


@pytest.mark.parametrize("build", NETWORKS)
def test_int8_answers_like_the_trained_network(
    build: Callable[[int, InputSize], keras.Model], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    network = build(8, InputSize())
    batches = [images(48), images(200)]
    export_onnx(network, tmp_path / "fp32.onnx", batches)
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", batches)
    largest_logit = max(float(np.abs(network(batch, training=False)).max()) for batch in batches)
    difference = compare(network, tmp_path / "int8.onnx", batches).largest_difference
    assert difference < 0.1 * largest_logit


@pytest.mark.parametrize("build", NETWORKS)
def test_int8_takes_the_bytes_as_they_are_in_blocks_of_columns(
    build: Callable[[int, InputSize], keras.Model], tmp_path: Path
) -> None:
    export_onnx(build(8, InputSize()), tmp_path / "fp32.onnx", [images(48)])
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", [images(48)])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    first = next(node for node in graph.node if "images" in node.input)
    assert first.op_type == "Reshape"
    assert not [node.op_type for node in graph.node if node.op_type in {"Cast", "Shape", "Gather"}]
    kernel = next(weight for weight in graph.initializer if weight.name == "stem_kernel_quantized")
    assert kernel.dims[1] == 12


def test_a_network_of_another_build_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((40, None, 3), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    other = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    export_onnx(other, tmp_path / "fp32.onnx", [images(48)])
    with pytest.raises(ExportError, match="Transpose"):
        quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", [images(48)])
