"""Pre-training: the general reader, from drawn captchas alone.

A run lasts as long as it is told, saves a checkpoint each round and can be continued from any `reader.keras`.
Drawing runs beside training; an image is shown `reuse` times on average, augmented anew each time.
"""

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from ml.recognition.charset import BLANK, GENERAL_ALPHABET, Alphabet
from ml.recognition.ctc import ctc_loss, encode_targets
from ml.recognition.datasets import Example
from ml.recognition.images import InputSize, fit, open_image
from ml.recognition.networks import reader_network
from ml.recognition.synthesis import stream
from ml.recognition.training.batches import Pair, Pool, in_order, readable

LONGEST_TEXT = 12
HELD_OUT_SEED = 2**40
"""Seeds from here on are never trained on."""


@dataclass(frozen=True)
class PretrainConfig:
    """One run. Times in minutes, learning rates per step of `batch_size` images."""

    minutes: float = 60
    seed: int = 0
    size: InputSize = field(default_factory=InputSize)
    batch_size: int = 64
    block_size: int = 8192
    pool_blocks: int = 10
    reuse: float = 3.0
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    warmup_steps: int = 400
    weight_decay: float = 1e-4
    augmentation: float = 0.5
    processes: int = 1
    held_out: int = 1024


def pretrain(
    config: PretrainConfig,
    out: Path,
    *,
    start: Path | None = None,
    watch: dict[str, list[Example]] | None = None,
    progress: Callable[[float, str], None] = lambda share, line: None,
) -> keras.Model:
    """Train until the minutes are over; write `reader.keras`, `training.csv` and `pretraining.json` to `out`.

    `start`: a `reader.keras` to go on from. `watch`: labelled sets whose exact match is logged, never used.
    `progress` is told the share done in [0, 1] and the last line of the log.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = (
        keras.models.load_model(start, compile=False)
        if start
        else reader_network(GENERAL_ALPHABET.size, config.size)
    )
    compile_reader(network, config.learning_rate, config.weight_decay)
    held_out = _held_out(config)
    watched = {name: load_pairs(examples, config.size) for name, examples in (watch or {}).items()}
    drawing = stream.blocks(
        stream.StreamConfig(config.size, seed=config.seed * 2**32), config.block_size, config.processes
    )
    rng = np.random.default_rng(config.seed)
    log = _Log(out, config, watched)
    blocks: list[list[Pair]] = []
    steps, began = 0, time.monotonic()
    while (share := (time.monotonic() - began) / 60 / config.minutes) < 1:
        blocks = [*blocks[-(config.pool_blocks - 1) :], [pair for pair in next(drawing) if readable(pair)]]
        pool = Pool([pair for block in blocks for pair in block])
        losses = []
        for _ in range(math.ceil(config.block_size * config.reuse / config.batch_size)):
            share = min(1.0, (time.monotonic() - began) / 60 / config.minutes)
            network.optimizer.learning_rate = _learning_rate(config, share, steps)
            losses.append(train_step(network, *pool.batch(rng, config.batch_size, config.augmentation)))
            steps += 1
            if share >= 1:
                break
        network.save(out / "reader.keras")
        line = log.write(network, steps, float(np.mean(losses)), held_out, share)
        progress(share, line)
    drawing.close()
    return network


def compile_reader(network: keras.Model, learning_rate: float, weight_decay: float) -> None:
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    network.compile(optimizer=optimizer, loss=ctc_loss, jit_compile=False)


def train_step(
    network: keras.Model, images: np.ndarray, texts: list[str], alphabet: Alphabet = GENERAL_ALPHABET
) -> float:
    """One step on (n, height, width, 3) uint8 images; the CTC loss before it."""
    return float(network.train_on_batch(images, encode_targets(texts, alphabet, LONGEST_TEXT)))


def read_greedily(
    network: keras.Model, pairs: list[Pair], alphabet: Alphabet, batch_size: int = 128
) -> list[str]:
    """What the network reads on each image, best path, no constraint."""
    texts = [""] * len(pairs)
    for indices, images in in_order(pairs, batch_size):
        best = np.asarray(network.predict_on_batch(images)).argmax(-1)
        for index, path in zip(indices, best, strict=True):
            kept = path[np.insert(path[1:] != path[:-1], 0, True) & (path != BLANK)]
            texts[index] = alphabet.decode(kept.tolist())
    return texts


def exact_match(network: keras.Model, pairs: list[Pair], alphabet: Alphabet) -> float:
    """Share of images read exactly, capitals and small letters alike."""
    read = read_greedily(network, pairs, alphabet)
    return float(
        np.mean([text.upper() == label.upper() for text, (_, label) in zip(read, pairs, strict=True)])
    )


def load_pairs(examples: list[Example], size: InputSize) -> list[Pair]:
    """Examples as network inputs. Raises ImageError for a file that is no image."""
    return [(fit(open_image(example.path.read_bytes()), size), example.label) for example in examples]


def _held_out(config: PretrainConfig) -> list[Pair]:
    drawn = stream.StreamConfig(config.size, seed=HELD_OUT_SEED)
    return [pair for pair in stream.draw_chunk(drawn, HELD_OUT_SEED, config.held_out) if readable(pair)]


def _learning_rate(config: PretrainConfig, share: float, steps: int) -> float:
    """Linear warm-up, then a cosine over the time that is given (Loshchilov & Hutter, 2017)."""
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    rate = config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine
    return rate * min(1.0, (steps + 1) / config.warmup_steps)


class _Log:
    """`training.csv`, a row a round, and `pretraining.json`, the configuration."""

    def __init__(self, out: Path, config: PretrainConfig, watched: dict[str, list[Pair]]) -> None:
        self._path = out / "training.csv"
        self._watched = watched
        self._batch_size = config.batch_size
        self._began = time.monotonic()
        (out / "pretraining.json").write_text(
            json.dumps(asdict(config) | {"backend": keras.backend.backend()}, indent=1)
        )
        columns = ["minutes", "steps", "images", "learning_rate", "loss", "held_out_exact_match", *watched]
        with self._path.open("w", newline="") as stream_:
            csv.writer(stream_).writerow(columns)

    def write(self, network: keras.Model, steps: int, loss: float, held_out: list[Pair], share: float) -> str:
        matches = [
            exact_match(network, pairs, GENERAL_ALPHABET) for pairs in (held_out, *self._watched.values())
        ]
        row = [
            f"{(time.monotonic() - self._began) / 60:.2f}",
            steps,
            steps * self._batch_size,
            f"{float(network.optimizer.learning_rate):.2e}",
            f"{loss:.4f}",
            *(f"{match:.4f}" for match in matches),
        ]
        with self._path.open("a", newline="") as stream_:
            csv.writer(stream_).writerow(row)
        names = ["held out", *self._watched]
        scores = ", ".join(f"{name} {match:.1%}" for name, match in zip(names, matches, strict=True))
        return f"loss {loss:.3f}, exact match: {scores}"
