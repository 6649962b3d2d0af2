"""The type model: which of the known captcha types a picture is, or "other".

Known types are shown by their labelled folders, "other" by drawn captchas of all styles and by pictures that
are no captcha. A batch mixes all of them at one width, so that neither width nor batch gives a class away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from ml.recognition.artifacts import OTHER, TypesSpec
from ml.recognition.datasets import Example, content_hash, split
from ml.recognition.images import InputSize, fit, open_image
from ml.recognition.metrics import interval
from ml.recognition.networks import type_network
from ml.recognition.reader import TypeClassifier
from ml.recognition.synthesis import generator, negatives
from ml.recognition.training import packaging
from ml.recognition.training.augmentation import augment
from ml.recognition.training.budget import Budget, cosine
from ml.recognition.training.tuning import Progress

Labels = tuple[str, ...]
Pictures = Mapping[str, list[Image.Image]]

LOOK_ALIKE = 0.1
"""Two types look alike when so large a share of one's images may, with this probability, be the other's."""

_OTHER_STYLE = "mixed"
_VALIDATION_SEED = 2**41


@dataclass(frozen=True)
class TypesConfig:
    """One training of the type model."""

    minutes: float = 1.0
    steps: int | None = None
    """Bounds the run in place of the minutes, which makes it repeatable."""
    seed: int = 0
    size: InputSize = field(default_factory=InputSize)
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    augmentation: float = 0.5
    validation: float = 0.1
    held_out: float = 0.12
    drawn: int = 3000
    negatives: int = 2000
    threshold: float = 0.9
    """Least probability at which a picture is taken for a known type."""


@dataclass(frozen=True)
class _Parts:
    training: dict[str, list[Example]]
    validation: dict[str, list[Example]]
    held_out: dict[str, list[Example]]


def train_types(
    folders: Mapping[str, Sequence[Example]],
    *,
    out: Path,
    version: int = 1,
    config: TypesConfig | None = None,
    progress: Progress = lambda share, line: None,
) -> TypesSpec:
    """Train the type model on the labelled images of each type and write its artifact folder `out`.

    Raises ValueError without types, DatasetError for a type with too few images.
    """
    if not folders:
        raise ValueError("there are no types to tell apart")
    config = config or TypesConfig()
    labels = (*sorted(folders), OTHER)
    parts = _split(folders, config)
    out.mkdir(parents=True, exist_ok=True)
    network = type_network(len(labels), config.size)
    pictures = {slug: _pictures(examples) for slug, examples in parts.training.items()}
    pictures[OTHER] = _others(config, seed=config.seed * 2**24, share=1.0)
    checks = {slug: _pictures(examples) for slug, examples in parts.validation.items()}
    checks[OTHER] = _others(config, seed=_VALIDATION_SEED, share=0.1)
    steps = _fit(network, labels, pictures, checks, config, progress)
    batches = _batches(checks, labels, config.size)
    truths = np.concatenate([truth for truth, _ in batches])
    exported = packaging.export_for_serving(
        network,
        out,
        "types.onnx",
        calibration=[images for _, images in _batches(pictures, labels, config.size)],
        score=lambda logits: float(np.mean(np.concatenate(logits).argmax(-1) == truths)),
        batches=[images for _, images in batches],
    )
    packaging.weights_only(network, type_network(len(labels), config.size), out / "types.keras")
    seen = [
        e for group in (parts.training, parts.validation) for examples in group.values() for e in examples
    ]
    spec = TypesSpec(
        version=version,
        input=config.size,
        labels=labels,
        thresholds=dict.fromkeys(sorted(folders), config.threshold),
        dataset={
            "hash": content_hash([e for examples in folders.values() for e in examples]),
            "n_train": {slug: len(examples) for slug, examples in parts.training.items()},
            "n_validation": {slug: len(examples) for slug, examples in parts.validation.items()},
            "drawn": config.drawn,
            "negatives": config.negatives,
            "config": {key: value for key, value in asdict(config).items() if key != "size"},
        },
    )
    measured: dict[str, Any] = {
        "steps": steps,
        "int8": exported.quantised,
        "parity": exported.parity,
        "look_alikes": _look_alikes(network, batches, labels),
    }
    packaging.finish(out, spec, metrics=measured, trained_on=seen)
    classifier = TypeClassifier(out)
    for name, group in (("validation", parts.validation), ("held_out", parts.held_out)):
        if group:
            measured[name] = decisions(classifier, group)
    return packaging.finish(out, spec, metrics=measured, trained_on=seen)


def decisions(classifier: TypeClassifier, folders: Mapping[str, Sequence[Example]]) -> dict[str, Any]:
    """Share of the images of each type that are taken for it, with its interval."""
    measured = {}
    for slug, examples in folders.items():
        size = classifier.spec.input
        right = sum(
            classifier.classify(fit(open_image(example.path.read_bytes()), size)).slug == slug
            for example in examples
        )
        measured[slug] = dict(interval(right, len(examples)))
    return measured


def _look_alikes(
    network: keras.Model, batches: list[tuple[np.ndarray, np.ndarray]], labels: Labels
) -> list[dict[str, Any]]:
    """Pairs of known types that the network cannot well tell apart, with the share of images in doubt.

    Pictures in doubt miss the threshold and go to the general reader: they are never silently mixed up.
    """
    truths = np.concatenate([truth for truth, _ in batches])
    logits = np.concatenate([np.asarray(network.predict_on_batch(images)) for _, images in batches])
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    found = []
    for a, b in combinations(range(len(labels) - 1), 2):
        doubt = [probabilities[truths == a, b] >= LOOK_ALIKE, probabilities[truths == b, a] >= LOOK_ALIKE]
        share = max(float(part.mean()) if len(part) else 0.0 for part in doubt)
        if share >= LOOK_ALIKE:
            found.append({"types": [labels[a], labels[b]], "share": round(share, 3)})
    return found


def _split(folders: Mapping[str, Sequence[Example]], config: TypesConfig) -> _Parts:
    training, validation, held_out = {}, {}, {}
    for slug, examples in folders.items():
        shares = [1 - config.validation - config.held_out, config.validation]
        if config.held_out:
            shares.append(config.held_out)
        parts = split(examples, shares, config.seed)
        training[slug], validation[slug] = parts[0], parts[1]
        if config.held_out:
            held_out[slug] = parts[2]
    return _Parts(training, validation, held_out)


def _pictures(examples: Sequence[Example]) -> list[Image.Image]:
    return [open_image(example.path.read_bytes()) for example in examples]


def _others(config: TypesConfig, *, seed: int, share: float) -> list[Image.Image]:
    drawn = [generator.draw(seed + i, _OTHER_STYLE).image for i in range(int(config.drawn * share))]
    return drawn + [negatives.draw(seed + i)[0] for i in range(int(config.negatives * share))]


def _fit(
    network: keras.Model,
    labels: Labels,
    pictures: Pictures,
    checks: Pictures,
    config: TypesConfig,
    progress: Progress,
) -> int:
    """Train until the minutes are over, the learning rate falling to nothing; return the steps."""
    network.compile(
        optimizer=keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.01),
        jit_compile=False,
    )
    rng = np.random.default_rng(config.seed)
    widths = sorted({config.size.width_of(*image.size) for slug in labels[:-1] for image in pictures[slug]})
    budget, steps = Budget(config.minutes, config.steps), 0
    while (share := budget.share(steps)) < 1:
        network.optimizer.learning_rate = cosine(config.learning_rate, 0.01 * config.learning_rate, share)
        images, truths = _batch(rng, labels, pictures, widths, config)
        loss = float(network.train_on_batch(images, np.eye(len(labels), dtype=np.float32)[truths]))
        steps += 1
        if steps % 100 == 0:
            right = _accuracy(network, checks, labels, config.size)
            progress(share, f"loss {loss:.4f}, right on validation {right:.2%}")
    return steps


def _batch(
    rng: np.random.Generator, labels: Labels, pictures: Pictures, widths: list[int], config: TypesConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Half known types in equal shares, half others, all at one width."""
    size = config.size
    known = rng.random() < 0.6
    width = int(rng.choice(widths)) if known else int(rng.integers(6, size.max_width // 8 + 1)) * 8
    images, truths = [], []
    for row in range(config.batch_size):
        truth = len(labels) - 1 if row % 2 else int(rng.integers(0, len(labels) - 1))
        group = pictures[labels[truth]]
        picture = group[int(rng.integers(0, len(group)))].resize(
            (width, size.height), Image.Resampling.BILINEAR
        )
        images.append(augment(rng, np.asarray(picture), config.augmentation))
        truths.append(truth)
    return np.stack(images), np.array(truths)


def _batches(
    pictures: Pictures, labels: Labels, size: InputSize, batch_size: int = 64
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Every picture as serving prepares it, in batches of one width: truths (n,) and images (n, h, w, 3)."""
    by_width: dict[int, list[tuple[int, np.ndarray]]] = {}
    for truth, label in enumerate(labels):
        for picture in pictures[label][: 4 * batch_size]:
            image = fit(picture, size)
            by_width.setdefault(image.shape[1], []).append((truth, image))
    batches = []
    for rows in by_width.values():
        for start in range(0, len(rows), batch_size):
            chosen = rows[start : start + batch_size]
            batches.append((np.array([t for t, _ in chosen]), np.stack([image for _, image in chosen])))
    return batches


def _accuracy(network: keras.Model, checks: Pictures, labels: Labels, size: InputSize) -> float:
    right = total = 0
    for truths, images in _batches(checks, labels, size):
        right += int((np.asarray(network.predict_on_batch(images)).argmax(-1) == truths).sum())
        total += len(truths)
    return right / max(1, total)
