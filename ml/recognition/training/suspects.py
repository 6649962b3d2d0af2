"""Labels that are probably wrong: what readers that never saw an image read otherwise, and surely.

All images are read by k-fold readers. An image is suspect when its reading is not its label and the reading's
CTC probability exceeds the label's by `least_score` or more; the largest gap comes first.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.recognition.audit.curve import Suspect, Suspects
from ml.recognition.audit.reading import same
from ml.recognition.audit.state import Results
from ml.recognition.datasets import Example, k_folds
from ml.recognition.decoding import Constraints, log_softmax, text_probability
from ml.recognition.images import open_image
from ml.recognition.metrics import interval
from ml.recognition.reader import Reader
from ml.recognition.training import tuning
from ml.recognition.training.learning_curve import NoCurve, Progress, train_and_open

FEWEST = 20
"""Images below which the folds leave too little to train on."""
LEAST_SCORE = 0.5


def find_suspects(
    slug: str,
    examples: Sequence[Example],
    *,
    folds: int,
    config: tuning.TrainConfig,
    start: Path | None,
    results: Results,
    least_score: float = LEAST_SCORE,
    progress: Progress = lambda share, line: None,
) -> Suspects:
    """Train `folds` readers, each without a fold, and let them read it. Finished folds are kept in `results`.

    Raises NoCurve where there are too few images, OSError where nothing can be written.
    """
    if len(examples) < FEWEST:
        raise NoCurve(f"{len(examples)} images are too few to doubt a label: {FEWEST} or more are needed")
    rows: list[dict[str, Any]] = []
    for number, (training, held_out) in enumerate(k_folds(examples, folds, config.seed)):
        name = f"fold-{number + 1}-of-{folds}"
        known = results.get(name)
        if known is None:
            title, before = f"fold {number + 1} of {folds}", number / folds
            with results.scratch() as out:
                reader = train_and_open(
                    slug, training, config, start, out,
                    lambda share, line, before=before, title=title: progress(  # type: ignore[misc]
                        before + share / folds, f"{title}: {line}"
                    ),
                )  # fmt: skip
                known = [_judged(reader, example) for example in held_out]
            results.put(name, known)
        rows += known
        progress((number + 1) / folds, f"fold {number + 1} of {folds}: done")
    doubted = [Suspect(**row["suspect"]) for row in rows if not row["agrees"]]
    surest = sorted((s for s in doubted if s.score >= least_score), key=lambda s: (-s.score, s.image))
    return Suspects(
        tuple(surest), folds, interval(sum(row["agrees"] for row in rows), len(rows)), least_score
    )


def label_probability(reader: Reader, logits: np.ndarray, label: str) -> float:
    """The CTC probability of `label`; 0 where the reader does not know one of its characters."""
    alphabet = reader.spec.alphabet
    text = label if reader.spec.case_sensitive else label.upper()
    try:
        classes = alphabet.encode(text)
    except ValueError:
        return 0.0
    return min(1.0, text_probability(np.exp(log_softmax(logits, reader.spec.temperature)), classes))


def _judged(reader: Reader, example: Example) -> dict[str, Any]:
    image = open_image(example.path.read_bytes())
    looks = reader.look(image)
    reading = reader.decode(looks, Constraints(math=reader.spec.arithmetic))
    text, confidence = (reading.text, reading.confidence) if reading else ("", 0.0)
    return {
        "agrees": same(text, example.label, any_case=not reader.spec.case_sensitive),
        "suspect": {
            "image": example.path.name,
            "data_hash": example.data_hash,
            "label": example.label,
            "read": text,
            "confidence": round(confidence, 6),
            "label_probability": round(label_probability(reader, looks[0], example.label), 6),
        },
    }
