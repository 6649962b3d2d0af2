"""Versions beside each other on the same images, which none of them has seen; the figures are stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ml.evaluation import Progress, decide, read_examples, same_value, untrained
from ml.models import Evaluation, ModelVersion
from ml.recognition.artifacts import OTHER, trained_on
from ml.recognition.datasets import Example, content_hash
from ml.recognition.metrics import expected_calibration_error
from ml.recognition.reader import Reader, TypeClassifier
from ml.registry import open_model
from ml.services import record_evaluation

UNSEEN = "unseen"
"""The split of images that no version of the comparison was trained on or selected with."""
Model = Reader | TypeClassifier


@dataclass(frozen=True)
class Score:
    """`right` of `n` answers are right; `ece` is the expected calibration error."""

    n: int
    right: int
    ece: float


def in_silence(items: Iterable[object], total: int) -> Iterable[object]:
    """A `Progress` that shows nothing."""
    return items


def evaluate_together(
    versions: Sequence[ModelVersion],
    folders: Mapping[str, Sequence[Example]],
    *,
    made_by: str,
    save: bool = True,
    progress: Progress = in_silence,
) -> list[Evaluation]:
    """Evaluate `versions`, all of one slug, on the images of `folders` that none of them has seen.

    One row for each, in their order, all under one data set hash; none at all when no image is left. They are
    stored unless `save` is false.

    Raises:
        ArtifactError: a version does not load, or its list of images cannot be read.
    """
    models = [open_model(version) for version in versions]
    asked = questions(unseen_by(versions, folders), models)
    if not asked:
        return []
    scores = [score(model, asked, progress) for model in models]
    dataset_hash = content_hash(asked)
    rows = [
        Evaluation(version=version, dataset_hash=dataset_hash, split=UNSEEN, made_by=made_by, **asdict(each))
        for version, each in zip(versions, scores, strict=True)
    ]
    return [record_evaluation(row) for row in rows] if save else rows


def unseen_by(
    versions: Iterable[ModelVersion], folders: Mapping[str, Sequence[Example]]
) -> dict[str, list[Example]]:
    """The examples that none of `versions` was trained on or selected with. Raises ArtifactError."""
    seen: frozenset[str] = frozenset().union(*(trained_on(version.path) for version in versions))
    return {name: untrained(examples, seen) for name, examples in folders.items()}


def questions(folders: Mapping[str, Sequence[Example]], models: Sequence[Model]) -> list[Example]:
    """The examples, labelled with what a right answer is.

    For type models that is the folder's name if any of them knows such a type: a model that knows fewer
    types is not right in taking a type that it lacks for none.
    """
    known: set[str] = set()
    for model in models:
        if isinstance(model, TypeClassifier):
            known.update(model.spec.labels)
    if not known:
        return [example for examples in folders.values() for example in examples]
    return [
        replace(example, label=name if name in known else OTHER)
        for name, examples in folders.items()
        for example in examples
    ]


def score(model: Model, asked: Sequence[Example], progress: Progress = in_silence) -> Score:
    """How `model` answers; of a sum its value counts, of an image without an answer nothing."""
    correct: list[bool] = []
    confidences: list[float] = []
    if isinstance(model, TypeClassifier):
        for example in progress(asked, len(asked)):
            slug, confidence = decide(model, example)
            correct.append(slug == example.label)
            confidences.append(confidence)
    else:
        for outcome in progress(read_examples(model, asked), len(asked)):
            if model.spec.arithmetic:
                correct.append(same_value(outcome.text, outcome.truth))
            else:
                correct.append(outcome.text == outcome.truth)
            confidences.append(outcome.confidence)
    return Score(len(asked), sum(correct), expected_calibration_error(correct, confidences))
