"""Tiny artifacts whose network simply reads what a test wrote into the picture.

The picture is the script: the red value of pixel (row 0, column t) is the class of frame t. So a test
says what the network sees, and everything around it is the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ml.recognition.artifacts import ReaderSpec, TypesSpec, write_checksums
from ml.recognition.charset import BLANK, Alphabet
from ml.recognition.images import InputSize

WIDTH, HEIGHT = 48, 16
INPUT = InputSize(height=HEIGHT, width_multiple=8, min_width=WIDTH, max_width=WIDTH)
ALPHABET = Alphabet("0123456789ABCabc+=?")
TYPES_COLUMN = 47
"""The last pixel of the first row says which type the type model sees."""
CERTAINTY = 20.0


def write_reader(folder: Path, *, logits_scale: float = CERTAINTY, **fields: Any) -> Path:
    """A reader's artifact; `fields` go into its spec."""
    alphabet = fields.setdefault("alphabet", ALPHABET)
    spec = ReaderSpec(**{"slug": "captcha_type_a", "version": 1, "input": INPUT, **fields})
    return _write(folder, spec, _one_hot_model(alphabet.size, logits_scale, frames=True))


def write_types(folder: Path, labels: Sequence[str], **fields: Any) -> Path:
    """A type model's artifact."""
    spec = TypesSpec(version=1, input=INPUT, labels=tuple(labels), **fields)
    return _write(folder, spec, _one_hot_model(len(labels), CERTAINTY, frames=False))


def picture(text: str, *, alphabet: Alphabet = ALPHABET, type_index: int = 0) -> Image.Image:
    """A picture that the networks read as `text` and as the type of that index."""
    pixels = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    pixels[0, :, 0] = BLANK
    for position, index in enumerate(alphabet.encode(text)):
        pixels[0, 1 + 3 * position : 3 + 3 * position, 0] = index
    pixels[0, TYPES_COLUMN, 1] = type_index
    return Image.fromarray(pixels)


def png(image: Image.Image, **options: Any) -> bytes:
    """The picture as a lossless file."""
    stream = BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def _write(folder: Path, spec: ReaderSpec | TypesSpec, model: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / f"{spec.kind}.onnx").write_bytes(model)
    (folder / "spec.json").write_text(spec.to_json(), encoding="utf-8")
    (folder / "trained_on.txt").write_text("")
    write_checksums(folder)
    return folder


def _one_hot_model(classes: int, scale: float, *, frames: bool) -> bytes:
    """images (n, h, w, 3) uint8 → one-hot logits of the red of row 0 by column, or of one green pixel."""
    batch, height, width = "n", HEIGHT, "w"
    starts, ends = ([0, 0], [1, 1]) if frames else ([0, 1], [1, 2])
    constants = {"starts": starts, "ends": ends, "axes": [1, 3], "squeezed": [1, 3], "depth": [classes]}
    nodes = [helper.make_node("Slice", ["images", "starts", "ends", "axes"], ["row"])]
    nodes.append(helper.make_node("Squeeze", ["row", "squeezed"], ["columns"]))
    last = "columns"
    if not frames:
        constants["column"] = [TYPES_COLUMN]
        nodes.append(helper.make_node("Gather", ["columns", "column"], ["pixel"], axis=1))
        constants["second"] = [1]
        nodes.append(helper.make_node("Squeeze", ["pixel", "second"], ["one"]))
        last = "one"
    nodes.append(helper.make_node("Cast", [last], ["indices"], to=TensorProto.INT64))
    nodes.append(helper.make_node("OneHot", ["indices", "depth", "values"], ["logits"], axis=-1))
    initializers = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()]
    initializers.append(numpy_helper.from_array(np.array([0, scale], np.float32), "values"))
    shape: list[str | int | None] = [batch, "w", classes] if frames else [batch, classes]
    graph = helper.make_graph(
        nodes,
        "one_hot",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, height, width, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized
