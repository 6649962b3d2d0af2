"""Packaging: a trained network becomes an artifact folder that serving can load.

Export to ONNX with a parity check, int8 where it loses nothing on the validation images, temperature from
the same images, then spec, report, the hashes of what was trained on, and checksums.
"""

import importlib.metadata
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from PIL import Image

from ml.recognition.artifacts import TRAINED_ON_FILE, ReaderSpec, TypesSpec, write_checksums
from ml.recognition.datasets import Example
from ml.recognition.decoding import Reading
from ml.recognition.export import export_onnx, onnx_logits, quantize
from ml.recognition.reader import Reader
from ml.recognition.training.report import write_report

TEMPERATURES = np.geomspace(0.4, 4.0, 35)
EXPECTED_TEMPERATURE = 0.7
"""About what fits tuned readers; chosen on the types that steer the general reader."""
_SPREAD = 0.3
"""Standard deviation of the logarithm of what fits, from reader to reader."""

_CALIBRATION_IMAGES = 256
_CONFUSIONS_KEPT = 40
# One reading that is surely wrong, or one wrong label, must not outweigh what is expected.
_LEAST_LIKELIHOOD = 1e-2

Spec = TypeVar("Spec", ReaderSpec, TypesSpec)


@dataclass(frozen=True)
class Exported:
    """The ONNX file that will serve, and how it compares with the trained network."""

    path: Path
    quantised: bool
    parity: float
    score_fp32: float
    score_served: float


def libraries() -> dict[str, str]:
    """Versions of what made the artifact."""
    names = ("keras", "tensorflow", "onnxruntime", "tf2onnx", "numpy", "pillow")
    return {name: importlib.metadata.version(name) for name in names}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def export_for_serving(
    network: keras.Model,
    folder: Path,
    name: str,
    *,
    calibration: Sequence[np.ndarray],
    score: Callable[[list[np.ndarray]], float],
    batches: list[np.ndarray],
    tolerance: float = 0.0,
) -> Exported:
    """Write `name` (ONNX) to `folder`: int8 unless it scores over `tolerance` below fp32 on `batches`.

    `score` takes the logits of each of `batches`. `calibration`: batches like them, from the training images.
    Raises ExportError when the ONNX network does not answer like the trained one.
    """
    exact = folder / "fp32.onnx"
    small = folder / "int8.onnx"
    parity = export_onnx(network, exact, list(batches[:4]))
    quantize(exact, small, _limited(calibration))
    score_fp32 = score(list(onnx_logits(exact, batches)))
    score_int8 = score(list(onnx_logits(small, batches)))
    quantised = score_int8 >= score_fp32 - tolerance
    served = folder / name
    shutil.move(small if quantised else exact, served)
    (exact if quantised else small).unlink()
    return Exported(
        served, quantised, parity.largest_difference, score_fp32, score_int8 if quantised else score_fp32
    )


def calibrated(
    reader: Reader, pictures: Sequence[tuple[Image.Image, str]], *, case_sensitive: bool = False
) -> float:
    """The temperature under which what is read right and wrong of labelled RGB pictures surprises least.

    The log loss of the confidence in what serving answers (Guo et al. 2017), with EXPECTED_TEMPERATURE as
    what is expected before any picture is seen: a handful of them hardly moves it. `case_sensitive`: whether
    a text in the other case counts as wrong.
    """
    fold = str if case_sensitive else str.upper
    seen = [(reader.look(image), text) for image, text in pictures]

    def surprise(temperature: float) -> float:
        readings = ((reader.settle(looks, temperature=temperature), text) for looks, text in seen)
        outcomes = (
            (reading, reading is not None and fold(reading.text) == fold(text)) for reading, text in readings
        )
        loss = -sum(math.log(_probability_of_outcome(reading, right)) for reading, right in outcomes)
        return loss + (math.log(temperature / EXPECTED_TEMPERATURE) / _SPREAD) ** 2 / 2

    return float(min(TEMPERATURES, key=surprise))


def _probability_of_outcome(reading: Reading | None, right: bool) -> float:
    confidence = reading.confidence if reading else 0.0
    return min(max(confidence if right else 1 - confidence, _LEAST_LIKELIHOOD), 1.0)


def weights_only(network: keras.Model, empty: keras.Model, path: Path) -> None:
    """Save the network without the optimizer, whose moments would triple the file. `empty` is a fresh one."""
    empty.set_weights(network.get_weights())
    empty.save(path)


def finish(folder: Path, spec: Spec, *, metrics: Mapping[str, Any], trained_on: Sequence[Example]) -> Spec:
    """Write spec, report, hashes and checksums around the ONNX file; return the spec as written."""
    kept = {name: _most_common(value) for name, value in metrics.items()}
    spec = replace(spec, metrics=kept, libraries=libraries(), created=now())
    (folder / "spec.json").write_text(spec.to_json(), encoding="utf-8")
    hashes = sorted({example.data_hash for example in trained_on})
    (folder / TRAINED_ON_FILE).write_text("".join(f"{value}\n" for value in hashes), encoding="ascii")
    write_report(folder, spec)
    write_checksums(folder)
    return spec


def _most_common(value: Any) -> Any:
    """Figures with their commonest confusions alone; a full list is longer than all the rest."""
    if not isinstance(value, dict) or "confusions" not in value:
        return value
    return value | {"confusions": value["confusions"][:_CONFUSIONS_KEPT]}


def _limited(batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    kept, images = [], 0
    for batch in batches:
        kept.append(batch)
        images += len(batch)
        if images >= _CALIBRATION_IMAGES:
            break
    return kept
