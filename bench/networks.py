"""Networks and input sizes for the general reader, each trained from nothing at the same cost.

    python bench/networks.py [--minutes 4] [--kinds convolutional recurrent ...] [--state FILE]

Every kind is trained on the same drawn captchas for the same CPU time (all threads together), so that a
larger network sees fewer images, and judged on 1,500 others by exact match. The time of a reading is the
median on one thread by ONNX Runtime, in fp32, on a picture of 250×50. Finished kinds are lines in --state.
"""

import argparse
import functools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np
import onnxruntime
from keras import layers

from ml.recognition.charset import GENERAL_ALPHABET
from ml.recognition.export import export_onnx
from ml.recognition.images import InputSize
from ml.recognition.synthesis import stream
from ml.recognition.training.batches import Pair, Pool, readable
from ml.recognition.training.budget import cosine
from ml.recognition.training.pretraining import compile_reader, exact_match, train_step

CHUNK, TRAINED, JUDGED = 256, 80, 6
TRAIN_SEED, TEST_SEED = 7 * 2**33, 2**45
BATCH, RATE, LAST_RATE, WARM_UP = 64, 2e-3, 1e-5, 300


@dataclass(frozen=True)
class Kind:
    """A network: height of its input, width of its layers, what joins the frames at its end."""

    height: int = 40
    wider: float = 1.0
    joins: str = "convolution"
    """convolution: a 1×5; convolutions: three of them; recurrent: a GRU both ways; attention: one layer."""


KINDS = {
    "one 1×5 convolution": Kind(),
    "three 1×5 convolutions": Kind(joins="convolutions"),
    "recurrent head": Kind(joins="recurrent"),
    "attention head": Kind(joins="attention"),
    "1.4 times as wide": Kind(wider=1.4),
    "input 32 high": Kind(height=32),
    "input 48 high": Kind(height=48),
}


def main() -> None:
    options = parsed()
    rows = (
        [json.loads(line) for line in options.state.read_text().splitlines()]
        if options.state.exists()
        else []
    )
    for name in options.kinds:
        if all(row["network"] != name for row in rows):
            rows.append({"network": name, **measured(KINDS[name], options.minutes)})
            with options.state.open("a") as stream_:
                stream_.write(json.dumps(rows[-1]) + "\n")
    print(f"\n| network, {options.minutes:g} CPU minutes each | parameters | images | exact match | ms |")
    print("|---|---|---|---|---|")
    for row in rows:
        share = f"{100 * row['right'] / row['n']:.1f} %"
        print(f"| {row['network']} | {row['parameters']:,} | {row['images']:,} | {share} | {row['ms']:.2f} |")


def measured(kind: Kind, minutes: float) -> dict[str, float]:
    size = InputSize(height=kind.height)
    training, test = drawn(size, TRAIN_SEED, TRAINED), drawn(size, TEST_SEED, JUDGED)
    keras.utils.set_random_seed(1)
    network = built(kind, size)
    compile_reader(network, RATE, 1e-4)
    pool, rng = Pool(training), np.random.default_rng(1)
    began, steps = time.process_time(), 0
    while (share := (time.process_time() - began) / (60 * minutes)) < 1:
        network.optimizer.learning_rate = cosine(RATE, LAST_RATE, share) * min(1, (steps + 1) / WARM_UP)
        train_step(network, *pool.batch(rng, BATCH, 0.5))
        steps += 1
    figures = {
        "parameters": network.count_params(),
        "images": steps * BATCH,
        "right": round(exact_match(network, test, GENERAL_ALPHABET) * len(test)),
        "n": len(test),
        "ms": read_ms(network, size),
    }
    print(figures, flush=True)
    return figures


def built(kind: Kind, size: InputSize) -> keras.Model:
    def filters(count: int) -> int:
        return round(count * kind.wider / 8) * 8

    images = keras.Input((size.height, None, 3), dtype="uint8", name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    x = block(x, filters(16), 5, strides=2)
    x = layers.MaxPooling2D(2)(block(x, filters(32), 3))
    x = block(block(x, filters(64), 3), filters(64), 3, residual=True)
    x = layers.MaxPooling2D((2, 1))(x)
    x = block(block(x, filters(96), 3), filters(96), 3, residual=True)
    width = filters(128)
    x = block(x, width, (size.height // 8, 1), padding="valid")
    for _ in range(3 if kind.joins == "convolutions" else 1):
        x = block(x, width, (1, 5), residual=True)
    x = layers.Reshape((-1, width))(x)
    if kind.joins == "recurrent":
        both_ways = layers.Bidirectional(layers.GRU(64, return_sequences=True))(x)
        x = layers.Concatenate()([x, both_ways])
    elif kind.joins == "attention":
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 32)(y, y)])
        y = layers.Dense(256, activation="relu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    logits = layers.Dense(GENERAL_ALPHABET.size, dtype="float32", name="logits")(layers.Dropout(0.1)(x))
    return keras.Model(images, logits)


def block(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    *,
    strides: int = 1,
    padding: str = "same",
    residual: bool = False,
) -> keras.KerasTensor:
    y = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.98)(y)
    return layers.ReLU()(layers.Add()([x, y]) if residual else y)


@functools.cache
def drawn(size: InputSize, seed: int, chunks: int) -> list[Pair]:
    config = stream.StreamConfig(size, seed=seed)
    firsts = range(seed, seed + chunks * CHUNK, CHUNK)
    with multiprocessing.get_context("spawn").Pool() as pool:
        drawings = pool.starmap(stream.draw_chunk, [(config, first, CHUNK) for first in firsts])
    return [pair for chunk in drawings for pair in chunk if readable(pair)]


def read_ms(network: keras.Model, size: InputSize) -> float:
    """Median CPU milliseconds of the network in fp32 on one thread, on a picture five times as wide."""
    picture = np.random.default_rng(0).integers(0, 256, (1, size.height, size.height * 5, 3), np.uint8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reader.onnx"
        export_onnx(network, path, [picture])
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    times = []
    for _ in range(200):
        began = time.process_time()
        session.run(None, {"images": picture})
        times.append((time.process_time() - began) * 1000)
    return round(statistics.median(times), 3)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=4, help="CPU minutes each, all threads together")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--state", type=Path, default=Path("networks.jsonl"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
