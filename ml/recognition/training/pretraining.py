"""Pre-training: the general reader, from drawn captchas alone.

A run lasts as long as it is told, saves a checkpoint each round and can be continued from any `reader.keras`.
Drawing runs beside training; an image is shown `reuse` times on average, augmented anew each time.
"""

import csv
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml.recognition.artifacts import ReaderSpec
from ml.recognition.charset import BLANK, GENERAL_ALPHABET, Alphabet
from ml.recognition.ctc import ctc_loss, encode_targets
from ml.recognition.datasets import Example
from ml.recognition.images import InputSize, fit, open_image
from ml.recognition.networks import copy_weights, reader_network
from ml.recognition.synthesis import stream
from ml.recognition.training.batches import Pair, Pool, in_order, one_ahead, readable
from ml.recognition.training.budget import Budget, cosine
from ml.recognition.training.general import package_general

LONGEST_TEXT = 12
LOG_FILE = "training.csv"
HELD_OUT_SEED = 2**40
"""Seeds from here on are never trained on."""


@dataclass(frozen=True)
class PretrainConfig:
    """One run. Times in minutes, learning rates per step of `batch_size` images."""

    minutes: float = 60
    steps: int | None = None
    """Bounds the run in place of the minutes, which makes it repeatable."""
    seed: int = 0
    size: InputSize = field(default_factory=InputSize)
    batch_size: int = 64
    block_size: int = 8192
    pool_blocks: int = 10
    reuse: float = 6.0
    learning_rate: float = 2e-3
    continued_learning_rate: float = 1.3e-3
    """In place of `learning_rate` where a run goes on from weights that can already read."""
    final_learning_rate: float = 1e-5
    warmup_steps: int = 400
    weight_decay: float = 1e-4
    augmentation: float = 0.5
    processes: int = 1
    styles: Mapping[str, float] | None = None
    """Shares of the generator's styles; None: those of generator.STYLES."""
    held_out: int = 1024
    kept: float = 0.0
    """Share of the weights that a run went on from in those it ends with (Wortsman et al. 2022)."""


def pretrain(
    config: PretrainConfig,
    out: Path,
    *,
    start: Path | None = None,
    version: int = 1,
    watch: dict[str, list[Example]] | None = None,
    progress: Callable[[float, str], None] = lambda share, line: None,
) -> ReaderSpec:
    """Train until the minutes are over, then write the artifact of the general reader to `out`.

    `start`: a `reader.keras` to go on from. `watch`: labelled sets whose exact match is logged, never used.
    `progress` is told the share done in [0, 1] and the last line of the log.
    """
    out.mkdir(parents=True, exist_ok=True)
    network = reader_network(GENERAL_ALPHABET.size, config.size)
    if start:
        copy_weights(keras.models.load_model(start, compile=False), network, skip=frozenset())
    compile_reader(network, config.learning_rate, config.weight_decay)
    if start:
        config = replace(config, learning_rate=config.continued_learning_rate)
    held_out = _held_out(config)
    watched = {name: load_pairs(examples, config.size) for name, examples in (watch or {}).items()}
    drawing = stream.blocks(
        stream.StreamConfig(config.size, seed=config.seed * 2**32, weights=config.styles),
        config.block_size,
        config.processes,
    )
    rng = np.random.default_rng(config.seed)
    log = _Log(out, config, watched, start)
    blocks: list[list[Pair]] = []
    budget, steps = Budget(config.minutes, config.steps), 0
    while (share := budget.share(steps)) < 1:
        blocks = [*blocks[-(config.pool_blocks - 1) :], [pair for pair in next(drawing) if readable(pair)]]
        pool = Pool([pair for block in blocks for pair in block])
        losses = []
        count = math.ceil(config.block_size * config.reuse / config.batch_size)
        batches = (pool.batch(rng, config.batch_size, config.augmentation) for _ in range(count))
        for images, texts in one_ahead(batches):
            network.optimizer.learning_rate = _learning_rate(config, share, steps)
            losses.append(train_step(network, images, texts))
            steps += 1
            if (share := budget.share(steps)) >= 1:
                break
        network.save(out / "reader.keras")
        line = log.write(network, steps, float(np.mean(losses)), held_out)
        progress(share, line)
    drawing.close()
    if start and config.kept:
        mix(network, keras.models.load_model(start, compile=False), config.kept)
        network.save(out / "reader.keras")
    settings = {key: value for key, value in asdict(config).items() if key != "size"}
    dataset = log.totals | {"backend": keras.backend.backend(), "config": settings}
    return packaged(out, version=version, dataset=dataset, size=config.size)


def packaged(folder: Path, *, version: int, dataset: dict[str, Any], size: InputSize) -> ReaderSpec:
    """`package_general`; where Keras is on another backend, in a process that has it on TensorFlow."""
    if keras.backend.backend() == "tensorflow":
        return package_general(folder, version=version, dataset=dataset, size=size)
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            package = partial(package_general, folder, version=version, dataset=dataset, size=size)
            return process.submit(package).result()
    finally:
        if before is None:
            del os.environ["KERAS_BACKEND"]
        else:
            os.environ["KERAS_BACKEND"] = before


def mix(network: keras.Model, other: keras.Model, share: float) -> None:
    """Move the weights of `network` by `share` of the way to those of `other`, layer by layer of one name."""
    known = {layer.name: layer for layer in other.layers if layer.weights}
    for layer in network.layers:
        if layer.name in known:
            pairs = zip(layer.get_weights(), known[layer.name].get_weights(), strict=True)
            layer.set_weights([(1 - share) * own + share * theirs for own, theirs in pairs])


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
    """Linear warm-up, then a cosine over the time that is given."""
    rate = cosine(config.learning_rate, config.final_learning_rate, share)
    return rate * min(1.0, (steps + 1) / config.warmup_steps)


class _Log:
    """`training.csv`, a row a round; a continued run goes on where the log of its start ended."""

    def __init__(
        self, out: Path, config: PretrainConfig, watched: dict[str, list[Pair]], start: Path | None
    ) -> None:
        self._path = out / LOG_FILE
        self._watched = watched
        self._batch_size = config.batch_size
        columns = ["minutes", "steps", "images", "learning_rate", "loss", "held_out_exact_match", *watched]
        earlier = _rows(start.with_name(LOG_FILE)) if start else []
        with self._path.open("w", newline="") as stream_:
            writer = csv.DictWriter(stream_, columns, restval="0", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(earlier)
        last = earlier[-1] if earlier else {}
        self._earlier = tuple(float(last.get(name, 0)) for name in ("minutes", "steps", "images"))
        self._began = time.monotonic()
        self.totals = dict(zip(("minutes", "steps", "images"), self._earlier, strict=True))

    def write(self, network: keras.Model, steps: int, loss: float, held_out: list[Pair]) -> str:
        """Add a row; return it as a line to show."""
        matches = [
            exact_match(network, pairs, GENERAL_ALPHABET) for pairs in (held_out, *self._watched.values())
        ]
        minutes, earlier_steps, earlier_images = self._earlier
        self.totals = {
            "minutes": round(minutes + (time.monotonic() - self._began) / 60, 2),
            "steps": int(earlier_steps + steps),
            "images": int(earlier_images + steps * self._batch_size),
        }
        rate = float(network.optimizer.learning_rate)
        with self._path.open("a", newline="") as stream_:
            row = [
                *self.totals.values(),
                f"{rate:.2e}",
                f"{loss:.4f}",
                *(f"{match:.4f}" for match in matches),
            ]
            csv.writer(stream_).writerow(row)
        names = ["held out", *self._watched]
        scores = ", ".join(f"{name} {match:.1%}" for name, match in zip(names, matches, strict=True))
        return f"loss {loss:.3f}, exact match: {scores}"


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as stream_:
        return list(csv.DictReader(stream_))
