"""Cross-validation: every image is judged once, by a model that was trained without it.

Importing this module imports Keras.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ml.evaluation import Outcome, decide_examples, decision_figures, read_examples, reader_figures
from ml.recognition.artifacts import OTHER
from ml.recognition.datasets import Example, k_folds
from ml.recognition.metrics import interval
from ml.recognition.reader import Reader, TypeClassifier
from ml.recognition.training.tuning import TrainConfig, train_reader
from ml.recognition.training.types import TypesConfig, train_types

Report = Callable[[int, dict[str, Any]], None]
"""Told the number of a fold, from 1, and its figures."""
Progress = Callable[[float, str], None]


def cross_validate_reader(
    slug: str,
    examples: Sequence[Example],
    *,
    folds: int,
    start: Path | None,
    config: TrainConfig,
    report: Report,
    progress: Progress = lambda share, line: None,
) -> dict[str, Any]:
    """Figures of metrics.summarize over all images, each read by the fold's reader that never saw it.

    `start`: a general reader's `reader.keras`, which must not have seen the images. Held-out images of
    `config` go to training: the fold's own are the test.
    """
    config = replace(config, held_out=0.0)
    pooled: list[Outcome] = []
    arithmetic = False
    for number, (training, test) in enumerate(k_folds(examples, folds, config.seed), start=1):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / slug
            spec = train_reader(slug, training, start=start, out=out, config=config, progress=progress)
            outcomes = list(read_examples(Reader(out), test))
        arithmetic = spec.arithmetic
        pooled += outcomes
        right = sum(outcome.text == outcome.truth for outcome in outcomes)
        report(number, {"n_trained": len(training), "exact_match": interval(right, len(outcomes))})
    return reader_figures(pooled, arithmetic=arithmetic)


def cross_validate_types(
    folders: Mapping[str, Sequence[Example]],
    *,
    folds: int,
    config: TypesConfig,
    report: Report,
    progress: Progress = lambda share, line: None,
) -> dict[str, Any]:
    """Type decisions over all images, each by the fold's type model that never saw it."""
    config = replace(config, held_out=0.0)
    split = {slug: k_folds(examples, folds, config.seed) for slug, examples in folders.items()}
    decisions: dict[str, Counter[str]] = {slug: Counter() for slug in folders}
    for number in range(folds):
        training = {slug: parts[number][0] for slug, parts in split.items()}
        test = {slug: parts[number][1] for slug, parts in split.items()}
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "types"
            train_types(training, out=out, config=config, progress=progress)
            measured = decide_examples(TypeClassifier(out), test, lambda items, total: items)
        for slug, figures in measured["folders"].items():
            decisions[slug].update(figures["taken_for"])
        n_trained = sum(len(examples) for examples in training.values())
        report(number + 1, {"n_trained": n_trained, "exact_match": measured["exact_match"]})
    return decision_figures(decisions, set(folders) - {OTHER})
