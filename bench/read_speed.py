"""CPU milliseconds per read, by stage, beside other ways to read the same images.

    python bench/read_speed.py --images DIR [--type SLUG] [--with-peers] [--count N]

DIR holds images named by their labels. Peers: ddddocr (--with-peers installs it, in a virtual environment
of its own under var/, as it pins other versions than this project), and the reader's own network by Keras
`predict` (where Keras is installed). All run on one core with one thread, on the same images, one after
the other in this one run; figures are medians of process CPU time, the first reads left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parent.parent
PEERS_ENVIRONMENT = ROOT / "var" / "bench-peers"
DDDDOCR = "ddddocr==1.6.1"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "KERAS_BACKEND": "tensorflow",
}
WARM_UP = 20

Output = TypeVar("Output")

# Before NumPy and ONNX Runtime are imported, or they start more threads.
os.environ.update(ONE_THREAD)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, str(ROOT))

from ml.recognition.datasets import Example, load_folder  # noqa: E402
from ml.recognition.images import fit, open_image  # noqa: E402
from ml.recognition.pipeline import Recognizer, Unsolvable  # noqa: E402
from ml.recognition.reader import Reader, TypeClassifier  # noqa: E402


@dataclass(frozen=True)
class Result:
    """Median CPU milliseconds of a read, and how many of `n` were right."""

    name: str
    total_ms: float
    correct: int
    n: int
    stages_ms: Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of images named by their labels")
    parser.add_argument("--artifacts", type=Path, default=ROOT / "ml" / "artifacts")
    parser.add_argument("--type", help="slug of the type, where the type model is not to decide")
    parser.add_argument("--count", type=int, default=200, help="images to read (default 200)")
    parser.add_argument("--with-peers", action="store_true", help=f"install {DDDDOCR} under var/ if missing")
    options = parser.parse_args()

    examples = load_folder(options.images)[: options.count]
    recognizer, folders = load_recognizer(options.artifacts)
    print(f"{options.images.name}, n = {len(examples)}, one thread, median CPU ms per image", flush=True)
    ours, reader_slug = measure_ours(recognizer, examples, options.type)
    print_result(ours, ours)
    for peer in chain(
        measure_ddddocr(examples, install=options.with_peers), measure_keras(folders[reader_slug], examples)
    ):
        print_result(peer, ours)


def load_recognizer(artifacts: Path) -> tuple[Recognizer, dict[str, Path]]:
    """The newest version of every shipped model, and their folders."""
    folders = {
        slug.name: max((v for v in slug.iterdir() if v.name.isdigit()), key=lambda v: int(v.name))
        for slug in sorted(artifacts.iterdir())
        if slug.is_dir() and any(v.name.isdigit() for v in slug.iterdir())
    }
    readers = {slug: Reader(folder) for slug, folder in folders.items() if slug != "types"}
    types = TypeClassifier(folders["types"]) if "types" in folders else None
    general = readers.pop("general", None)
    return Recognizer(types, readers, general), folders


def measure_ours(
    recognizer: Recognizer, examples: list[Example], captcha_type: str | None
) -> tuple[Result, str]:
    """The whole read as the service does it, then its stages one by one; and the reader most used."""
    used: list[str] = []

    def recognize(data: bytes) -> str | None:
        try:
            recognition = recognizer.recognize(data, captcha_type=captcha_type)
        except Unsolvable:
            return None
        used.append(recognition.captcha_type)
        return recognition.text

    total, texts = cpu_ms(recognize, [example.path.read_bytes() for example in examples])
    slug = max(set(used), key=used.count) if used else "general"
    reader = recognizer.readers.get(slug, recognizer.general)
    assert reader is not None, "no reader read these images"
    size = reader.spec.input
    data = [example.path.read_bytes() for example in examples]
    opened = [open_image(one) for one in data]
    prepared = [fit(one, size) for one in opened]
    looks = [[reader.logits(one[None])[0]] for one in prepared]
    stages = {
        "decode": cpu_ms(open_image, data)[0],
        "fit": cpu_ms(lambda image: fit(image, size), opened)[0],
        "type": 0.0,
        "network": cpu_ms(lambda array: reader.logits(array[None]), prepared)[0],
        "decoding": cpu_ms(reader.decode, looks)[0],
    }
    if recognizer.types is not None and captcha_type is None:
        stages["type"] = cpu_ms(recognizer.types.classify, prepared)[0]
    return Result(f"this service ({slug})", total, correct(examples, texts), len(examples), stages), slug


def measure_ddddocr(examples: list[Example], *, install: bool) -> Iterator[Result]:
    python = PEERS_ENVIRONMENT / "bin" / "python"
    if install and not python.exists():
        venv.create(PEERS_ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", DDDDOCR], check=True)
    if not python.exists():
        print("ddddocr is not installed: run again with --with-peers")
        return
    for model in ("default", "beta"):
        answer = run_peer([python, ROOT / "bench" / "peer_ddddocr.py", model], examples)
        yield peer_result(f"ddddocr 1.6.1 {model}", answer, examples)


def measure_keras(folder: Path, examples: list[Example]) -> Iterator[Result]:
    if find_spec("keras") is None:
        print("Keras is not installed here: run with the Python of `make training` to compare with predict")
        return
    answer = run_peer([Path(sys.executable), ROOT / "bench" / "peer_keras.py", folder], examples)
    yield peer_result("the same network by Keras predict", answer, examples)


def run_peer(command: list[Path | str], examples: list[Example]) -> dict[str, Any]:
    """Run a peer on the images, whose paths it takes on its standard input; it prints JSON last."""
    paths = "\n".join(str(example.path.resolve()) for example in examples)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        command, env=environment, input=paths, stdout=subprocess.PIPE, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return answer


def peer_result(name: str, answer: Mapping[str, Any], examples: list[Example]) -> Result:
    total = median(answer["cpu_ms"][min(WARM_UP, len(examples) // 2) :])
    return Result(name, total, correct(examples, answer["texts"]), len(examples), {})


def cpu_ms(function: Callable[[Any], Output], inputs: list[Any]) -> tuple[float, list[Output]]:
    """Median CPU milliseconds of a call, the first left out; and what each call returned."""
    for one in inputs[:WARM_UP]:
        function(one)
    times, outputs = [], []
    for one in inputs:
        start = process_time()
        outputs.append(function(one))
        times.append((process_time() - start) * 1000)
    return median(times), outputs


def correct(examples: list[Example], texts: list[str | None]) -> int:
    """Exact matches, case aside; an image without an answer is wrong."""
    return sum(
        text is not None and text.casefold() == example.label.casefold()
        for example, text in zip(examples, texts, strict=True)
    )


def print_result(result: Result, ours: Result) -> None:
    ratio = "" if result is ours else f"  {result.total_ms / ours.total_ms:6.1f} times ours"
    right = f"{result.correct} of {result.n} right"
    print(f"{result.name:36} {result.total_ms:8.3f} ms  {right:18}{ratio}", flush=True)
    for stage, milliseconds in result.stages_ms.items():
        print(f"    {stage:32} {milliseconds:8.3f} ms")


if __name__ == "__main__":
    main()
