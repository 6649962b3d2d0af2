"""Tiny models in the artifact format, so that tests run the real registry, files and ONNX Runtime.

A tiny reader writes one text on whatever picture; a tiny type model decides by brightness alone.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ml.recognition.artifacts import ReaderSpec, TypesSpec, write_checksums
from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.images import InputSize
from ml.recognition.metrics import interval

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=?"
CERTAIN = 30.0
"""A logit so far above the others (0) that its probability is 1 for every purpose here."""


def write_reader(
    root: Path,
    slug: str,
    version: int = 1,
    *,
    text: str = "2KXQE",
    characters: str = LETTERS,
    folder: Path | None = None,
    **fields: Any,
) -> Path:
    """An artifact with a reader that writes `text`, in `folder` or where it belongs below `root`."""
    alphabet = Alphabet(characters)
    frames = [BLANK]
    for index in alphabet.encode(text):
        frames += [index, BLANK]
    logits = np.zeros((1, len(frames), alphabet.size), np.float32)
    logits[0, np.arange(len(frames)), frames] = CERTAIN
    fields.setdefault("metrics", {"held_out": {"exact_match": interval(198, 200)}})
    spec = ReaderSpec(slug=slug, version=version, input=InputSize(), alphabet=alphabet, **fields)
    return _write(folder or root / spec.name, spec, "reader.onnx", _constant_model(logits))


def write_types(
    root: Path,
    version: int = 1,
    *,
    labels: Sequence[str] = ("dark", "bright", "other"),
    folder: Path | None = None,
    **fields: Any,
) -> Path:
    """An artifact with a type model: dark pictures are of its first label, bright ones of its second."""
    spec = TypesSpec(version=version, input=InputSize(), labels=tuple(labels), **fields)
    return _write(folder or root / spec.name, spec, "types.onnx", _brightness_model(len(labels)))


def picture(brightness: int = 255, size: tuple[int, int] = (120, 40)) -> bytes:
    """A PNG of one grey."""
    stream = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(stream, "PNG")
    return stream.getvalue()


def _write(folder: Path, spec: ReaderSpec | TypesSpec, name: str, model: onnx.ModelProto) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(model.SerializeToString())
    (folder / "spec.json").write_text(spec.to_json(), encoding="utf-8")
    (folder / "trained_on.txt").write_text("", encoding="ascii")
    (folder / "report.html").write_text("<!doctype html><title>report</title><p>curves</p>", encoding="utf-8")
    write_checksums(folder)
    return folder


def _constant_model(logits: np.ndarray) -> onnx.ModelProto:
    """`logits` (1, frames, classes) for each picture of the batch, whatever it shows."""
    nodes = [
        *_mean_brightness(keepdims=(1, 2)),
        helper.make_node("Sub", ["mean", "mean"], ["zero"]),
        helper.make_node("Add", ["zero", "constant"], ["logits"]),
    ]
    return _model(nodes, {"constant": logits}, ["n", "frames", "classes"])


def _brightness_model(labels: int) -> onnx.ModelProto:
    """The first label below a mean of 64, the second above 192, the last one between."""
    slopes, offsets = np.zeros((1, labels), np.float32), np.full((1, labels), -1000.0, np.float32)
    slopes[0, 0], offsets[0, 0] = -1, 64
    slopes[0, 1], offsets[0, 1] = 1, -192
    slopes[0, -1], offsets[0, -1] = 0, 0
    nodes = [
        *_mean_brightness(keepdims=(1,)),
        helper.make_node("Mul", ["mean", "slopes"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["logits"]),
    ]
    return _model(nodes, {"slopes": slopes, "offsets": offsets}, ["n", "labels"])


def _mean_brightness(keepdims: tuple[int, ...]) -> list[onnx.NodeProto]:
    """`mean`: (n, 1) or (n, 1, 1), the mean over rows, columns and channels."""
    squeezed = "axes_3" if len(keepdims) == 1 else "axis_3"
    return [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=1),
        helper.make_node("Squeeze", ["means", squeezed], ["mean"]),
    ]


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], output_shape: list[str]
) -> onnx.ModelProto:
    weights = weights | {
        "axes": np.array([1, 2, 3], np.int64),
        "axes_3": np.array([2, 3], np.int64),
        "axis_3": np.array([3], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model
