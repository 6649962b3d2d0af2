"""Fitting: one tuning from its first step to its last, with a log and a checkpoint it can go on from.

A batch holds labelled images, drawn ones that fade out, and spliced ones once the network can tell where the
characters of its images stand. Images without a label join when the averaged network reads them alike in
several guises. What is kept is the best of the averaged weights, and never worse than what was started from.
"""

import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ml.recognition.artifacts import ReaderSpec
from ml.recognition.ctc import ctc_loss, encode_targets
from ml.recognition.decoding import Constraints, constrained_decode, greedy_decode
from ml.recognition.images import InputSize
from ml.recognition.looks import SIX, Look
from ml.recognition.training.augmentation import augment
from ml.recognition.training.batches import Pair, Pool, in_order
from ml.recognition.training.budget import Budget, cosine
from ml.recognition.training.optimisation import LAYER_RATES, LayerwiseAdamW, WeightAverage
from ml.recognition.training.pretraining import LONGEST_TEXT, exact_match
from ml.recognition.training.restyling import Palette
from ml.recognition.training.splicing import Splicer, align

Progress = Callable[[float, str], None]

_EVENTS = (
    (0.2, "_align"),
    (0.45, "_align"),
    (0.5, "_pseudo_label"),
    (0.7, "_align"),
    (0.75, "_pseudo_label"),
)
"""Shares of the run at which images are aligned for splicing, and read for labels."""
_TELLING = 30
"""Fewest validation images whose loss says which of two networks is better."""
_VIEWS = 3
"""Guises in which an image without a label has to be read alike: as it is, and augmented."""
_SURE = 0.85
"""Least confidence of the plain view for a reading to count as a label."""


@dataclass(frozen=True)
class TrainConfig:
    """One tuning. `minutes` bounds it; shares are of a batch, of the images or of the run."""

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
    layer_rates: bool = True
    """Early layers learn more slowly."""
    averaging: float = 0.98
    """Momentum of the weights' moving average, by step; 0 takes the weights as they are."""
    augmentation: float = 0.7
    evaluate_every: int = 100
    validation: float = 0.1
    held_out: float = 0.12
    """Share that neither training nor selection sees; its figures go into the spec. 0 for none."""
    style: str | None = None
    """The generator's style to mix in; None: the nearest to the type, else `mixed`."""
    synthesis: float = 0.4
    """Share of drawn captchas at the start."""
    drawn: int = 3000
    restyled: float = 0.5
    """Share of the drawn captchas that are given the type's colours."""
    spliced: float = 0.25
    """Share of spliced captchas once images are aligned."""
    looks: tuple[Look, ...] = SIX
    """Ways in which the reader will look at a picture, the later ones in doubt alone."""
    accuracy: float = 0.0
    """Wanted accuracy of what is answered: sets the least confidence. 0 answers everything."""


class Fit:
    """One tuning in progress: the steps, the log, and the best weights so far.

    `checkpoint`: a file that is written at each evaluation, and gone on from where it is of the same run,
    which `key` names.
    """

    def __init__(
        self,
        network: keras.Model,
        spec: ReaderSpec,
        config: TrainConfig,
        *,
        log: Path,
        progress: Progress,
        checkpoint: Path | None = None,
        key: str = "",
    ) -> None:
        self._network, self._spec, self._config = network, spec, config
        self._log, self._progress = log, progress
        self._checkpoint = Checkpoint(checkpoint, key) if checkpoint else None
        self._rng = np.random.default_rng(config.seed)
        self._average = WeightAverage(network, config.averaging)
        self.steps = 0
        self.minutes = 0.0
        self.pseudo_labelled = 0

    def run(
        self,
        pairs: Sequence[Pair],
        checks: Sequence[Pair],
        *,
        drawn: Sequence[Pair] = (),
        unlabelled: Sequence[np.ndarray] = (),
    ) -> None:
        """Train the network on `pairs`; at the end it holds the weights that read `checks` best."""
        config = self._config
        compile_tuning(self._network, config)
        self._pairs, self._unlabelled = list(pairs), list(unlabelled)
        self._real, self._drawn = Pool(pairs), Pool(drawn) if drawn else None
        self._pseudo: Pool | None = None
        self._splicer: Splicer | None = None
        self._palette = Palette([*(image for image, _ in pairs), *unlabelled])
        self._best, self._kept = self._judged(checks), self._network.get_weights()
        rows: list[list[str]] = []
        if self._checkpoint:
            rows = self._restored(self._checkpoint)
        budget = Budget(config.minutes, config.steps, spent=self.minutes)
        events = [event for event in _EVENTS if event[0] > budget.share(self.steps)]
        losses: list[float] = []
        with ThreadPoolExecutor(1) as thread:
            following = thread.submit(self._batch, budget.share(self.steps))
            while (share := budget.share(self.steps)) < 1:
                if events and share >= events[0][0]:
                    following.result()
                    getattr(self, events.pop(0)[1])()
                images, texts = following.result()
                following = thread.submit(self._batch, share)
                losses.append(self._step(images, texts, share))
                share, self.minutes = budget.share(self.steps), budget.minutes
                if self.steps % config.evaluate_every and share < 1:
                    continue
                rows.append(self._evaluated(checks, float(np.mean(losses))))
                write_log(self._log, rows)
                self._progress(
                    share,
                    f"loss {rows[-1][4]}, exact match on {len(checks)} validation images "
                    f"{float(rows[-1][5]):.1%}",
                )
                if self._checkpoint and share < 1:
                    self._save(self._checkpoint, rows)
                losses = []
        self._network.set_weights(self._kept)

    def _batch(self, share: float) -> tuple[np.ndarray, list[str]]:
        """Images (batch, height, width, 3) uint8 of one width, and their texts."""
        config, rng = self._config, self._rng
        # Drawn images fade out, so that batch statistics settle on the real ones.
        drawn = int(config.batch_size * config.synthesis * max(0.0, 1 - share / 0.7)) if self._drawn else 0
        spliced = int(config.batch_size * config.spliced) if self._splicer else 0
        images, texts = self._real.batch(rng, config.batch_size - drawn - spliced, config.augmentation)
        width = images.shape[2]
        parts = [(images, texts)]
        if self._pseudo and width in self._pseudo:
            half = len(texts) // 2
            more = self._pseudo.batch(rng, half, config.augmentation, width=width)
            parts = [(images[half:], texts[half:]), more]
        if drawn and self._drawn and width in self._drawn:
            restyle = self._palette.restyle if rng.random() < config.restyled else None
            parts.append(self._drawn.batch(rng, drawn, config.augmentation, width=width, restyle=restyle))
        if spliced and self._splicer and (pairs := self._splicer.pairs(rng, width, spliced)):
            stacked = np.stack([augment(rng, image, config.augmentation) for image, _ in pairs])
            parts.append((stacked, [text for _, text in pairs]))
        return np.concatenate([part for part, _ in parts]), [text for _, part in parts for text in part]

    def _step(self, images: np.ndarray, texts: list[str], share: float) -> float:
        config = self._config
        rate = cosine(config.learning_rate, config.final_learning_rate, share)
        self._network.optimizer.learning_rate = rate * min(1.0, (self.steps + 1) / config.warmup_steps)
        loss = float(self._network.train_on_batch(images, self._targets(texts)))
        self.steps += 1
        self._average.update()
        return loss

    def _evaluated(self, checks: Sequence[Pair], loss: float) -> list[str]:
        """Keep the averaged weights if they are the best so far; a row of the log."""
        with self._averaged():
            score = self._judged(checks)
            if score >= self._best:
                self._best, self._kept = score, self._network.get_weights()
        rate = float(self._network.optimizer.learning_rate)
        images = self.steps * self._config.batch_size
        return [
            f"{self.minutes:.2f}",
            f"{self.steps}",
            f"{images}",
            f"{rate:.2e}",
            f"{loss:.4f}",
            f"{score[0]:.4f}",
        ]

    def _judged(self, checks: Sequence[Pair]) -> tuple[float, float]:
        """Exact match on the validation images, then what decides between equals."""
        match = exact_match(self._network, list(checks), self._spec.alphabet)
        if len(checks) < _TELLING:
            # So few say nothing of two that read alike: the longer trained one is better.
            return match, float(self.steps)
        return match, -self._loss(checks)

    def _loss(self, checks: Sequence[Pair]) -> float:
        total = 0.0
        for indices, images in in_order(checks, 64):
            targets = self._targets([checks[i][1] for i in indices])
            total += float(self._network.test_on_batch(images, targets)) * len(indices)
        return total / max(1, len(checks))

    def _targets(self, texts: list[str]) -> np.ndarray:
        return encode_targets(texts, self._spec.alphabet, longest(texts))

    def _align(self) -> None:
        """Find where the characters of the labelled images stand, by what the averaged network reads."""
        if not self._config.spliced:
            return
        with self._averaged():
            aligned = []
            for indices, images in in_order(self._pairs, 64):
                for index, logits in zip(indices, self._network.predict_on_batch(images), strict=True):
                    aligned.append(align(self._pairs[index], np.asarray(logits), self._spec.alphabet))
        found = [item for item in aligned if item]
        self._splicer = Splicer(found, frozenset(len(text) for _, text in self._pairs)) if found else None

    def _pseudo_label(self) -> None:
        """Take as labels what the averaged network reads alike in several guises of an image, and surely."""
        if not self._unlabelled:
            return
        spec, views = self._spec, []
        with self._averaged():
            for strength in (0.0, *[0.5] * (_VIEWS - 1)):
                guises = [(augment(self._rng, image, strength), "") for image in self._unlabelled]
                rows: list[np.ndarray] = [np.empty(0)] * len(guises)
                for indices, images in in_order(guises, 64):
                    for index, logits in zip(indices, self._network.predict_on_batch(images), strict=True):
                        rows[index] = np.asarray(logits)
                views.append(rows)
        lengths = Constraints(min_length=spec.min_length, max_length=spec.max_length)
        pairs = []
        for index, image in enumerate(self._unlabelled):
            plain = constrained_decode(views[0][index], spec.alphabet, lengths)
            if plain is None or not plain.text or plain.confidence < _SURE:
                continue
            if all(greedy_decode(rows[index], spec.alphabet).text == plain.text for rows in views[1:]):
                pairs.append((image, plain.text))
        self.pseudo_labelled = len(pairs)
        self._pseudo = Pool(pairs) if pairs else None

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with the averaged weights, for a while."""
        present = self._network.get_weights()
        if self._config.averaging:
            self._network.set_weights(self._average.weights)
        try:
            yield
        finally:
            self._network.set_weights(present)

    def _save(self, checkpoint: "Checkpoint", rows: list[list[str]]) -> None:
        state = {"steps": self.steps, "minutes": self.minutes, "best": self._best, "rows": rows}
        checkpoint.save(
            state,
            weights=self._network.get_weights(),
            average=self._average.weights,
            kept=self._kept,
            optimizer=[np.asarray(variable) for variable in self._network.optimizer.variables],
        )

    def _restored(self, checkpoint: "Checkpoint") -> list[list[str]]:
        """Go on from the checkpoint if there is one of this run; the log up to it."""
        loaded = checkpoint.load()
        if loaded is None:
            return []
        state, arrays = loaded
        self._network.set_weights(arrays["weights"])
        self._network.optimizer.build(self._network.trainable_variables)
        for variable, value in zip(self._network.optimizer.variables, arrays["optimizer"], strict=True):
            variable.assign(value)
        self._average.restore(arrays["average"])
        self._kept, self._best = arrays["kept"], tuple(state["best"])
        self.steps, self.minutes = state["steps"], state["minutes"]
        self._rng = np.random.default_rng((self._config.seed, self.steps))
        for _, event in (event for event in _EVENTS if event[0] <= self._share_done()):
            getattr(self, event)()
        return list(state["rows"])

    def _share_done(self) -> float:
        config = self._config
        return self.steps / config.steps if config.steps else self.minutes / config.minutes


class Checkpoint:
    """The state of a run in one file, so that an interrupted one goes on from its last evaluation."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def save(self, state: dict[str, Any], **arrays: list[np.ndarray]) -> None:
        """Replace the file at once: whenever the process ends, it holds one whole state."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        named: dict[str, Any] = {
            f"{name}.{i}": value for name, values in arrays.items() for i, value in enumerate(values)
        }
        meta = np.frombuffer(json.dumps(state | {"key": self._key}).encode(), np.uint8)
        partial = self._path.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(stream, meta=meta, **named)
        partial.replace(self._path)

    def load(self) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]] | None:
        """The state and its arrays; None where there is none, or it is damaged or of another run."""
        try:
            with self._path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                state = json.loads(bytes(stored["meta"]))
                if state.pop("key") != self._key:
                    return None
                arrays: dict[str, list[np.ndarray]] = {}
                for name in sorted(stored.files, key=lambda name: int(name.partition(".")[2] or -1)):
                    if name != "meta":
                        arrays.setdefault(name.partition(".")[0], []).append(stored[name])
                return state, arrays
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def compile_tuning(network: keras.Model, config: TrainConfig) -> None:
    optimizer = LayerwiseAdamW(
        config.learning_rate,
        weight_decay=config.weight_decay,
        clipnorm=1.0,
        rates=LAYER_RATES if config.layer_rates else None,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    network.compile(optimizer=optimizer, loss=ctc_loss, jit_compile=False)


def longest(texts: Sequence[str]) -> int:
    """Length that targets are padded to: the same for most types, so that graphs are traced once."""
    return max(LONGEST_TEXT, *(len(text) for text in texts))


def write_log(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["minutes", "steps", "images", "learning_rate", "loss", "validation_exact_match"])
        writer.writerows(rows)
