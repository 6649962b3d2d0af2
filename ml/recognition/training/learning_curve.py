"""The learning curve of a type: readers trained on growing subsets, judged on the same test images.

The test images are set aside first; what shares its label or its bytes with one of them is set aside too.
The subsets of one draw are nested. Every training that is over is kept, so a run that was stopped goes on
from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import keras

from ml.recognition.audit.curve import DEFAULT_COUNTS, Curve, Point, counts_up_to
from ml.recognition.audit.reading import one_case, read, share_right
from ml.recognition.audit.state import Results
from ml.recognition.datasets import DatasetError, Example, content_hash, hash_bytes, split
from ml.recognition.metrics import Interval
from ml.recognition.reader import Reader
from ml.recognition.training import tuning

Progress = Callable[[float, str], None]
TOO_LITTLE = (tuning.TooFewExamples, DatasetError)


class NoCurve(ValueError):
    """There is nothing to measure; the message says why."""


@dataclass(frozen=True)
class CurveConfig:
    """`counts` empty: the `usual` ones. Of the images `test_share` are tested on, `most_test` at most."""

    counts: tuple[int, ...] = ()
    usual: tuple[int, ...] = DEFAULT_COUNTS
    draws: int = 1
    test_share: float = 0.25
    most_test: int = 500
    train: tuning.TrainConfig = field(default_factory=tuning.TrainConfig)


def results_of(
    root: Path, slug: str, examples: Sequence[Example], config: CurveConfig, start: Path | None
) -> Results:
    """Where results of these images, this configuration and this start are kept, for any counts and draws."""
    key = {
        "slug": slug,
        "dataset": content_hash(examples),
        "start": hash_bytes(start.read_bytes()) if start else None,
        "test": [config.test_share, config.most_test],
        "train": {name: value for name, value in asdict(config.train).items() if value is not None},
    }
    return Results(root, key)


def learning_curve(
    slug: str,
    examples: Sequence[Example],
    *,
    config: CurveConfig,
    start: Path | None,
    results: Results,
    progress: Progress = lambda share, line: None,
    report: Callable[[Point], None] = lambda point: None,
) -> Curve:
    """Train once for each count and draw. `start`: the general reader's `reader.keras`, None for nothing.

    `report` is told each point, also those that are there from before. Raises NoCurve where no count fits,
    OSError where nothing can be written.
    """
    share = min(config.test_share, config.most_test / len(examples))
    try:
        pool, test = split(examples, [1 - share, share], config.train.seed)
    except DatasetError as error:
        raise NoCurve(f"no test images can be set aside: {error}") from error
    wanted = sorted(set(config.counts)) or list(counts_up_to(len(pool), config.usual))
    counts = [count for count in wanted if 0 < count <= len(pool)]
    skipped = {count: f"there are {len(pool)} labels to train on" for count in wanted if count not in counts}
    if not counts:
        raise NoCurve(
            f"{len(examples)} labelled images leave {len(pool)} to train on beside {len(test)} to test on: "
            f"too few for {' or '.join(map(str, wanted)) or 'a curve'}"
        )
    runs = [(draw, count) for draw in range(config.draws) for count in counts]
    any_case = one_case(example.label for example in examples)
    points = []
    for number, (draw, count) in enumerate(runs):
        name = f"labels-{count}-draw-{draw}"
        known = results.get(name)
        if known is None:
            try:
                known = _train_and_test(
                    slug, _nested(pool, count, draw), test, any_case, config, draw, start, results,
                    _part(progress, number, len(runs), f"{count} labels"),
                )  # fmt: skip
            except TOO_LITTLE as error:
                skipped[count] = str(error)
                continue
            results.put(name, known)
        points.append(Point(labels=count, draw=draw, **known))
        report(points[-1])
        progress((number + 1) / len(runs), f"{count} labels: done")
    if not points:
        raise NoCurve("; ".join(f"{count} labels: {reason}" for count, reason in skipped.items()))
    untrained = _untrained(start, test, any_case)
    return Curve(tuple(points), len(pool), len(test), untrained, skipped)


def train_and_open(
    slug: str,
    examples: Sequence[Example],
    config: tuning.TrainConfig,
    start: Path | None,
    out: Path,
    progress: Progress,
) -> Reader:
    """A reader trained on all of the examples: whoever asks has set the test images aside."""
    # Networks of earlier trainings would stay in memory.
    keras.backend.clear_session()
    config = replace(config, held_out=0.0)
    tuning.train_reader(slug, examples, start=start, out=out, config=config, progress=progress)
    return Reader(out)


def _train_and_test(
    slug: str,
    training: Sequence[Example],
    test: Sequence[Example],
    any_case: bool,
    config: CurveConfig,
    draw: int,
    start: Path | None,
    results: Results,
    progress: Progress,
) -> dict[str, Any]:
    began, cpu_began = perf_counter(), process_time()
    train = replace(config.train, seed=config.train.seed + draw)
    with results.scratch() as out:
        reader = train_and_open(slug, training, train, start, out, progress)
        seconds, cpu_seconds = perf_counter() - began, process_time() - cpu_began
        right = share_right(read(reader, test, any_case=any_case))
    return {"exact_match": right, "seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1)}


def _nested(pool: Sequence[Example], count: int, draw: int) -> list[Example]:
    """The first `count` of the pool in the order of this draw."""
    order = sorted(pool, key=lambda e: hash_bytes(f"draw {draw} {e.data_hash} {e.path.name}".encode()))
    return order[:count]


def _untrained(start: Path | None, test: Sequence[Example], any_case: bool) -> Interval | None:
    """The reader that trainings start from, where its artifact lies beside its weights."""
    if start is None or not (start.parent / "reader.onnx").is_file():
        return None
    return share_right(read(Reader(start.parent), test, any_case=any_case))


def _part(progress: Progress, number: int, total: int, title: str) -> Progress:
    """Progress of one training as a part of all."""
    return lambda share, line: progress((number + share) / total, f"{title}: {line}")
