"""Tuning: from the general reader and a handful of labelled images to the reader of one type.

The labels say which characters, lengths and case the type has. Weights start from the general reader, the
head's rows from those of the same characters. Captchas are drawn of the type's alphabet, fitted to its size
and given its colours; `fitting` mixes them in and keeps what reads the validation images best.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from ml.recognition import arithmetic
from ml.recognition.artifacts import ReaderSpec
from ml.recognition.charset import GENERAL_ALPHABET, Alphabet
from ml.recognition.datasets import Example, content_hash, hash_bytes, split
from ml.recognition.decoding import greedy_decode
from ml.recognition.images import ImageError, InputSize, fit, open_image
from ml.recognition.issuers import DIGITS, LOWER, UPPER
from ml.recognition.label_checks import FEWEST
from ml.recognition.metrics import summarize, thresholds
from ml.recognition.networks import copy_weights, reader_network
from ml.recognition.reader import Reader
from ml.recognition.synthesis import stream
from ml.recognition.training import packaging
from ml.recognition.training.batches import Pair, in_order, readable
from ml.recognition.training.fitting import Checkpoint, Fit, Progress, TrainConfig
from ml.recognition.training.pretraining import load_pairs

__all__ = ["Progress", "TooFewExamples", "TrainConfig", "train_reader"]

SYNTHESIS_STYLES = {"captcha_type_a": "ripples", "captcha_type_b": "sums"}
"""The style of the generator that comes nearest to a type, for the types that have one."""

_HELD_OUT_FROM = 40
"""Fewest labels of which some are set aside; below, all are needed to learn from."""
_FIXED_LENGTH_FROM = 20
_ABSENT_AT = 0.01
"""Chance of seeing a character in no label below which it is taken not to be in the alphabet."""
_UNLABELLED_READ = 1000


class TooFewExamples(ValueError):
    """There is too little to train and validate on; the message says how many there are."""


def train_reader(
    slug: str,
    examples: Sequence[Example],
    *,
    start: Path | None,
    out: Path,
    version: int = 1,
    config: TrainConfig | None = None,
    tests: Sequence[Example] = (),
    unlabelled: Sequence[Path] = (),
    checkpoint: Path | None = None,
    progress: Progress = lambda share, line: None,
) -> ReaderSpec:
    """Train the reader of type `slug` and write its artifact folder `out`; return its spec.

    `start`: the `reader.keras` of the general reader, None to start from nothing. `tests`: what the result is
    judged on in place of a share of the examples, none of which is held out then. `unlabelled`: further
    images of the type, which teach where they are read surely. `checkpoint`: a file that an interrupted run
    goes on from; it is gone when the run ends.
    Raises TooFewExamples below ten examples, ImageError for a file that is no image.
    """
    config = config or TrainConfig()
    if tests:
        config = replace(config, held_out=0.0)
    training, validation, held_out = parts(examples, config)
    held_out = held_out or unseen(tests, examples)
    spec = spec_of_labels(slug, version, [example.label for example in examples], config.size)
    spec = replace(spec, looks=config.looks)
    out.mkdir(parents=True, exist_ok=True)
    network = starting_network(spec, [example.label for example in examples], start)
    pairs, checks = _labelled(training, spec, config), _labelled(validation, spec, config)
    run = Fit(
        network,
        spec,
        config,
        log=out / "training.csv",
        progress=progress,
        checkpoint=checkpoint,
        key=_key(examples, unlabelled, config, start),
    )
    run.run(
        pairs,
        checks,
        drawn=_drawn(pairs, [example.label for example in examples], spec, config),
        unlabelled=_opened(unlabelled[:_UNLABELLED_READ], config.size),
    )
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
        "pseudo_labelled": run.pseudo_labelled,
    }
    # Written once so that the reader that will serve can be asked, then again with what it answered.
    packaging.finish(out, spec, metrics=measured, trained_on=seen)
    pictures = [(open_image(e.path.read_bytes()), normalised(e.label, spec)) for e in validation]
    temperature = packaging.calibrated(Reader(out), pictures, case_sensitive=spec.case_sensitive)
    spec = replace(spec, temperature=temperature)
    packaging.finish(out, spec, metrics=measured, trained_on=seen)
    answered = readings(Reader(out), validation)
    measured["validation"] = dict(summarize(answered))
    measured["thresholds"] = thresholds(answered)
    if config.accuracy:
        spec = replace(spec, min_confidence=_least_confidence(measured["thresholds"], config.accuracy))
    if held_out:
        measured["held_out"] = dict(summarize(readings(Reader(out), held_out)))
    finished = packaging.finish(out, spec, metrics=measured, trained_on=seen)
    if checkpoint:
        Checkpoint(checkpoint, "").remove()
    return finished


def parts(
    examples: Sequence[Example], config: TrainConfig
) -> tuple[list[Example], list[Example], list[Example]]:
    """Training, validation and held-out examples; twins never cross. With few, none are held out."""
    if len(examples) < FEWEST:
        raise TooFewExamples(
            f"{len(examples)} labelled images are too few for a reader: label {FEWEST} or more"
        )
    if not config.held_out or len(examples) < _HELD_OUT_FROM:
        training, validation = split(examples, [1 - config.validation, config.validation], config.seed)
        return training, validation, []
    shares = [1 - config.validation - config.held_out, config.validation, config.held_out]
    training, validation, held_out = split(examples, shares, config.seed)
    return training, validation, held_out


def unseen(tests: Sequence[Example], examples: Sequence[Example]) -> list[Example]:
    """Those of `tests` whose bytes are none of the examples'."""
    known = {example.data_hash for example in examples}
    return [example for example in tests if example.data_hash not in known]


def spec_of_labels(slug: str, version: int, labels: Sequence[str], size: InputSize) -> ReaderSpec:
    """What the labels tell of a type: its characters, whether case matters, lengths, sums."""
    is_sum = all(_is_sum(label) for label in labels)
    seen = set("".join(labels))
    case_sensitive = any(c.islower() for c in seen) and any(c.isupper() for c in seen)
    # The operands of a few dozen sums need not show every digit.
    seen |= set(DIGITS) if is_sum else _unseen(labels, seen)
    if not case_sensitive:
        seen = {c.upper() for c in seen}
    lengths = {len(label) for label in labels}
    fixed = len(lengths) == 1 and len(labels) >= _FIXED_LENGTH_FROM and not is_sum
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


def _unseen(labels: Sequence[str], seen: set[str]) -> set[str]:
    """Characters that the type may have although no label shows them.

    With k equally likely characters one of them is in none of n places with a chance of (1 - 1/k)^n; where
    that is no longer small, the rest of the digits, capitals or small letters is kept possible.
    """
    kinds = [set(kind) for kind in (DIGITS, UPPER, LOWER) if seen & set(kind)]
    possible = set().union(*kinds)
    places = sum(len(label) for label in labels)
    if not possible or (1 - 1 / len(possible)) ** places < _ABSENT_AT:
        return set()
    return possible - seen


def starting_network(spec: ReaderSpec, labels: Sequence[str], start: Path | None) -> keras.Model:
    """A reader for the type with the weights of the general one at `start`, head rows by character."""
    network = reader_network(spec.alphabet.size, spec.input)
    if start is None:
        return network
    general = keras.models.load_model(start, compile=False)
    copy_weights(general, network)
    kernel, bias = (np.array(value) for value in network.get_layer("head").get_weights())
    known_kernel, known_bias = general.get_layer("head").get_weights()
    printed = printed_as(spec, labels)
    rows = {0: 0} | {
        index: GENERAL_ALPHABET.index[printed[character]]
        for character, index in spec.alphabet.index.items()
        if printed[character] in GENERAL_ALPHABET.index
    }
    for row, known in rows.items():
        kernel[..., row], bias[row] = known_kernel[..., known], known_bias[known]
    network.get_layer("head").set_weights([kernel, bias])
    return network


def printed_as(spec: ReaderSpec, labels: Sequence[str]) -> dict[str, str]:
    """The character that the images show for each one of the alphabet: small letters where labels are."""
    small = not spec.case_sensitive and any(c.islower() for label in labels for c in label)
    return {c: c.lower() if small else c for c in spec.alphabet.characters}


def summary(reader: Reader, examples: Sequence[Example]) -> dict[str, Any]:
    """The figures of metrics.summarize for a reader on labelled files, read as serving reads them."""
    return dict(summarize(readings(reader, examples)))


def readings(reader: Reader, examples: Sequence[Example]) -> list[tuple[str, str | None, float]]:
    """Truth, what was read (None: nothing) and confidence, of labelled files read as serving reads them."""
    rows = []
    for example in examples:
        reading = reader.read(open_image(example.path.read_bytes()))
        text = reading.text if reading else None
        truth = normalised(example.label, reader.spec)
        rows.append((truth, text, reading.confidence if reading else 0.0))
    return rows


def normalised(label: str, spec: ReaderSpec) -> str:
    """The label as the reader writes it."""
    return label if spec.case_sensitive else label.upper()


def _drawn(pairs: Sequence[Pair], labels: Sequence[str], spec: ReaderSpec, config: TrainConfig) -> list[Pair]:
    """Drawn captchas of the type's alphabet and lengths, in the widths of the type."""
    if config.synthesis <= 0:
        return []
    lengths = sorted({len(text) for _, text in pairs})
    drawing = stream.StreamConfig(
        config.size,
        seed=(config.seed + 1) * 2**24,
        style=config.style or SYNTHESIS_STYLES.get(spec.slug, "mixed"),
        negatives=0.0,
        alphabet=None if spec.arithmetic else "".join(printed_as(spec, labels).values()),
        lengths=(lengths[0], lengths[-1]),
    )
    widths = sorted({image.shape[1] for image, _ in pairs})
    known = set(spec.alphabet.characters)
    fitted = []
    for index, (image, text) in enumerate(stream.draw_chunk(drawing, drawing.seed, config.drawn)):
        written = normalised(text, spec)
        if set(written) <= known:
            width = widths[index % len(widths)]
            resized = Image.fromarray(image).resize((width, image.shape[0]), Image.Resampling.BILINEAR)
            fitted.append((np.asarray(resized), written))
    return [pair for pair in fitted if readable(pair)]


def _least_confidence(table: dict[str, Any], accuracy: float) -> float:
    """The confidence from which on what was answered was right often enough, 1 where none was."""
    reached = [row for wanted, row in table.items() if float(wanted) >= accuracy and row is not None]
    return float(reached[0]["confidence"]) if reached else 1.0


def _key(
    examples: Sequence[Example], unlabelled: Sequence[Path], config: TrainConfig, start: Path | None
) -> str:
    """What a run is: two with one key go the same way."""
    weights = hash_bytes(start.read_bytes()) if start else "none"
    others = hash_bytes("\n".join(map(str, unlabelled)).encode())
    return f"{content_hash(examples)} {others} {weights} {sorted(asdict(config).items(), key=str)}"


def _opened(paths: Sequence[Path], size: InputSize) -> list[np.ndarray]:
    """Network inputs of the files that are images; what is none cannot teach either."""
    images = []
    for path in paths:
        with contextlib.suppress(ImageError):
            images.append(fit(open_image(path.read_bytes()), size))
    return images


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
        "config": {key: value for key, value in asdict(config).items() if key not in ("size", "looks")},
    }


def _is_sum(label: str) -> bool:
    try:
        arithmetic.answer(label)
    except arithmetic.NotArithmetic:
        return False
    return any(not c.isdigit() for c in label.rstrip("=? "))
