"""Tuning: from the general reader and a folder of labelled images to the reader of one type.

The labels say which characters, lengths and case the type has. Weights start from the general reader, the
head's rows from those of the same characters. Drawn captchas of the type's alphabet, fitted to its size, are
mixed in and fade out towards the end. The version kept is the one with the best exact match on the
validation images, and among equals the lowest loss.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.artifacts import ReaderSpec
from ml.recognition.charset import GENERAL_ALPHABET, Alphabet
from ml.recognition.ctc import encode_targets
from ml.recognition.datasets import Example, content_hash, split
from ml.recognition.decoding import greedy_decode
from ml.recognition.images import InputSize, open_image
from ml.recognition.metrics import summarize
from ml.recognition.networks import copy_weights, reader_network
from ml.recognition.reader import Reader
from ml.recognition.synthesis import stream
from ml.recognition.training import packaging
from ml.recognition.training.batches import Pair, Pool, in_order, readable
from ml.recognition.training.budget import Budget, cosine
from ml.recognition.training.pretraining import LONGEST_TEXT, compile_reader, exact_match, load_pairs

SYNTHESIS_STYLES = {"captcha_type_a": "ripples", "captcha_type_b": "sums"}
"""The style of the generator that comes nearest to a type, for the types that have one."""


class TooFewExamples(ValueError):
    """There is too little to train and validate on; the message says how many there are."""


@dataclass(frozen=True)
class TrainConfig:
    """One tuning. `minutes` bounds it; `patience` ends it after so many evaluations without a gain."""

    minutes: float = 3.0
    steps: int | None = None
    """Bounds the run in place of the minutes, which makes it repeatable."""
    seed: int = 0
    size: InputSize = field(default_factory=InputSize)
    batch_size: int = 32
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warmup_steps: int = 60
    weight_decay: float = 1e-3
    augmentation: float = 0.7
    evaluate_every: int = 100
    patience: int = 1000
    validation: float = 0.1
    held_out: float = 0.12
    """Share that neither training nor selection sees; its figures go into the spec. 0 for none."""
    style: str | None = None
    """The generator's style to mix in; None: by SYNTHESIS_STYLES, else `mixed`."""
    synthesis: float = 0.4
    """Share of drawn captchas in a batch at the start."""
    drawn: int = 6000


Progress = Callable[[float, str], None]


def train_reader(
    slug: str,
    examples: Sequence[Example],
    *,
    start: Path | None,
    out: Path,
    version: int = 1,
    config: TrainConfig | None = None,
    progress: Progress = lambda share, line: None,
) -> ReaderSpec:
    """Train the reader of type `slug` and write its artifact folder `out`; return its spec.

    `start`: the `reader.keras` of the general reader, None to start from nothing.
    Raises TooFewExamples below ten examples, ImageError for a file that is no image.
    """
    config = config or TrainConfig()
    training, validation, held_out = parts(examples, config)
    spec = spec_of_labels(slug, version, [example.label for example in examples], config.size)
    out.mkdir(parents=True, exist_ok=True)
    network = starting_network(spec.alphabet, config.size, start)
    pairs, checks = _labelled(training, spec, config), _labelled(validation, spec, config)
    run = _Run(network, spec, config, out, progress)
    run.fit(pairs, checks)
    exported = packaging.export_for_serving(
        network,
        out,
        "reader.onnx",
        calibration=[images for _, images in in_order(pairs, 64)],
        score=lambda logits: _greedy_score(logits, checks, spec.alphabet),
        batches=[images for _, images in in_order(checks, 64)],
    )
    packaging.weights_only(network, reader_network(spec.alphabet.size, config.size), out / "reader.keras")
    spec = replace(spec, dataset=_dataset(examples, training, validation, held_out, config))
    seen = [*training, *validation]
    measured: dict[str, Any] = {
        "steps": run.steps,
        "minutes": round(run.minutes, 2),
        "int8": exported.quantised,
        "parity": exported.parity,
    }
    # Written once so that the reader that will serve can be asked, then again with what it answered.
    packaging.finish(out, spec, metrics=measured, trained_on=seen)
    spec = replace(spec, temperature=packaging.calibrated(Reader(out), checks, spec))
    packaging.finish(out, spec, metrics=measured, trained_on=seen)
    measured["validation"] = summary(Reader(out), validation)
    if held_out:
        measured["held_out"] = summary(Reader(out), held_out)
    return packaging.finish(out, spec, metrics=measured, trained_on=seen)


def parts(
    examples: Sequence[Example], config: TrainConfig
) -> tuple[list[Example], list[Example], list[Example]]:
    """Training, validation and held-out examples; twins never cross."""
    if len(examples) < 10:
        raise TooFewExamples(f"{len(examples)} labelled images are too few for a reader: label 10 or more")
    if not config.held_out:
        training, validation = split(examples, [1 - config.validation, config.validation], config.seed)
        return training, validation, []
    shares = [1 - config.validation - config.held_out, config.validation, config.held_out]
    training, validation, held_out = split(examples, shares, config.seed)
    return training, validation, held_out


def spec_of_labels(slug: str, version: int, labels: Sequence[str], size: InputSize) -> ReaderSpec:
    """What the labels tell of a type: its characters, whether case matters, lengths, sums."""
    is_sum = all(_is_sum(label) for label in labels)
    seen = set("".join(labels))
    case_sensitive = any(c.islower() for c in seen) and any(c.isupper() for c in seen)
    if not case_sensitive:
        seen = {c.upper() for c in seen}
    if is_sum:
        # The operands of a few dozen sums need not show every digit.
        seen |= set("0123456789")
    lengths = {len(label) for label in labels}
    fixed = len(lengths) == 1 and len(labels) >= 30 and not is_sum
    order = {character: index for index, character in enumerate(GENERAL_ALPHABET.characters)}
    return ReaderSpec(
        slug=slug,
        version=version,
        input=size,
        alphabet=Alphabet("".join(sorted(seen, key=lambda c: (order.get(c, len(order)), c)))),
        case_sensitive=case_sensitive,
        min_length=min(lengths) if fixed else None,
        max_length=max(lengths) if fixed else None,
        arithmetic=is_sum,
    )


def starting_network(alphabet: Alphabet, size: InputSize, start: Path | None) -> keras.Model:
    """A reader for `alphabet` with the weights of the one at `start`, head rows by character."""
    network = reader_network(alphabet.size, size)
    if start is None:
        return network
    general = keras.models.load_model(start, compile=False)
    copy_weights(general, network)
    kernel, bias = (np.array(value) for value in network.get_layer("head").get_weights())
    known_kernel, known_bias = general.get_layer("head").get_weights()
    rows = {0: 0} | {
        index: GENERAL_ALPHABET.index[character]
        for character, index in alphabet.index.items()
        if character in GENERAL_ALPHABET.index
    }
    for row, known in rows.items():
        kernel[..., row], bias[row] = known_kernel[..., known], known_bias[known]
    network.get_layer("head").set_weights([kernel, bias])
    return network


def summary(reader: Reader, examples: Sequence[Example]) -> dict[str, Any]:
    """The figures of metrics.summarize for a reader on labelled files, read as serving reads them."""
    readings = []
    for example in examples:
        reading = reader.read(open_image(example.path.read_bytes()))
        text = reading.text if reading else None
        truth = normalised(example.label, reader.spec)
        readings.append((truth, text, reading.confidence if reading else 0.0))
    return dict(summarize(readings))


def normalised(label: str, spec: ReaderSpec) -> str:
    """The label as the reader writes it."""
    return label if spec.case_sensitive else label.upper()


class _Run:
    """One tuning in progress: the steps, the log, and the best weights so far."""

    def __init__(
        self, network: keras.Model, spec: ReaderSpec, config: TrainConfig, out: Path, progress: Progress
    ) -> None:
        self._network, self._spec, self._config, self._progress = network, spec, config, progress
        self._log = out / "training.csv"
        self._rng = np.random.default_rng(config.seed)
        self.steps = 0
        self.minutes = 0.0

    def fit(self, pairs: list[Pair], checks: list[Pair]) -> None:
        """Train the network; at the end it holds the best weights."""
        config = self._config
        compile_reader(self._network, config.learning_rate, config.weight_decay)
        real, drawn = Pool(pairs), self._drawn(pairs)
        best: tuple[float, float] = (-1.0, 0.0)
        weights, since = self._network.get_weights(), 0
        losses: list[float] = []
        budget = Budget(config.minutes, config.steps)
        with self._log.open("w", newline="") as stream_:
            writer = csv.writer(stream_)
            writer.writerow(["minutes", "steps", "images", "learning_rate", "loss", "validation_exact_match"])
            while since < config.patience:
                losses.append(self._step(real, drawn, budget.share(self.steps)))
                share, self.minutes = budget.share(self.steps), budget.minutes
                if self.steps % config.evaluate_every and share < 1:
                    continue
                match = exact_match(self._network, checks, self._spec.alphabet)
                loss = self._loss(checks)
                since += 1
                if (match, -loss) > best:
                    best, weights, since = (match, -loss), self._network.get_weights(), 0
                rate = float(self._network.optimizer.learning_rate)
                mean = float(np.mean(losses))
                images = self.steps * config.batch_size
                writer.writerow(
                    [f"{self.minutes:.2f}", self.steps, images, f"{rate:.2e}", f"{mean:.4f}", f"{match:.4f}"]
                )
                self._progress(
                    share, f"loss {mean:.3f}, exact match on {len(checks)} validation images {match:.1%}"
                )
                losses = []
                if share >= 1:
                    break
        self._network.set_weights(weights)

    def _step(self, real: Pool, drawn: Pool | None, share: float) -> float:
        config = self._config
        rate = cosine(config.learning_rate, config.final_learning_rate, share)
        self._network.optimizer.learning_rate = rate * min(1.0, (self.steps + 1) / config.warmup_steps)
        # Drawn images fade out, so that batch statistics settle on the real ones.
        count = 0 if drawn is None else int(config.batch_size * config.synthesis * max(0.0, 1 - share / 0.7))
        images, texts = real.batch(self._rng, config.batch_size - count, config.augmentation)
        if drawn is not None and count and images.shape[2] in drawn:
            more, more_texts = drawn.batch(self._rng, count, config.augmentation, width=images.shape[2])
            images, texts = np.concatenate([images, more]), [*texts, *more_texts]
        self.steps += 1
        targets = encode_targets(texts, self._spec.alphabet, _longest(self._spec, texts))
        return float(self._network.train_on_batch(images, targets))

    def _loss(self, checks: list[Pair]) -> float:
        total = 0.0
        for indices, images in in_order(checks, 64):
            texts = [checks[i][1] for i in indices]
            targets = encode_targets(texts, self._spec.alphabet, _longest(self._spec, texts))
            total += float(self._network.test_on_batch(images, targets)) * len(indices)
        return total / max(1, len(checks))

    def _drawn(self, pairs: list[Pair]) -> Pool | None:
        """Drawn captchas of the type's alphabet and lengths, one copy for each width of the type."""
        config, spec = self._config, self._spec
        if config.synthesis <= 0:
            return None
        style = config.style or SYNTHESIS_STYLES.get(spec.slug, "mixed")
        lengths = sorted({len(text) for _, text in pairs})
        drawing = stream.StreamConfig(
            config.size,
            seed=(config.seed + 1) * 2**24,
            style=style,
            negatives=0.0,
            alphabet=None if spec.arithmetic else spec.alphabet.characters,
            lengths=(lengths[0], lengths[-1]),
        )
        widths = sorted({image.shape[1] for image, _ in pairs})
        known = set(spec.alphabet.characters)
        fitted = []
        for index, (image, text) in enumerate(stream.draw_chunk(drawing, drawing.seed, config.drawn)):
            if set(text) <= known:
                width = widths[index % len(widths)]
                resized = Image.fromarray(image).resize((width, image.shape[0]), Image.Resampling.BILINEAR)
                fitted.append((np.asarray(resized), text))
        kept = [pair for pair in fitted if readable(pair)]
        return Pool(kept) if kept else None


def _labelled(examples: Sequence[Example], spec: ReaderSpec, config: TrainConfig) -> list[Pair]:
    return [(image, normalised(text, spec)) for image, text in load_pairs(list(examples), config.size)]


def _greedy_score(logits: list[np.ndarray], checks: list[Pair], alphabet: Alphabet) -> float:
    """Exact match of best paths, for batches in the order of `in_order(checks, 64)`."""
    right = 0
    for (indices, _), rows in zip(in_order(checks, 64), logits, strict=True):
        right += sum(
            greedy_decode(row, alphabet).text == checks[i][1] for i, row in zip(indices, rows, strict=True)
        )
    return right / max(1, len(checks))


def _dataset(
    examples: Sequence[Example],
    training: Sequence[Example],
    validation: Sequence[Example],
    held_out: Sequence[Example],
    config: TrainConfig,
) -> dict[str, Any]:
    return {
        "hash": content_hash(examples),
        "n_train": len(training),
        "n_validation": len(validation),
        "n_held_out": len(held_out),
        "config": {key: value for key, value in asdict(config).items() if key != "size"},
    }


def _longest(spec: ReaderSpec, texts: Sequence[str]) -> int:
    return max(LONGEST_TEXT, *(len(text) for text in texts))


def _is_sum(label: str) -> bool:
    try:
        arithmetic.answer(label)
    except arithmetic.NotArithmetic:
        return False
    return any(not c.isdigit() for c in label.rstrip("=? "))
