"""Versions beside each other on the same images, which none of them has seen; the figures are stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ml.evaluation import Progress, decide, read_examples, same_value, untrained
from ml.models import Evaluation, JudgedImage, ModelVersion
from ml.recognition.artifacts import OTHER, trained_on
from ml.recognition.datasets import Example, content_hash
from ml.recognition.metrics import expected_calibration_error
from ml.recognition.reader import Reader, TypeClassifier
from ml.registry import open_model
from ml.services import record_evaluation

UNSEEN = "unseen"
"""The split of images that no version of the comparison was trained on or selected with."""
Model = Reader | TypeClassifier


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
    stored unless `save` is false, with what each made of each image.

    Raises:
        ArtifactError: a version does not load, or its list of images cannot be read.
    """
    models = [open_model(version) for version in versions]
    asked = questions(unseen_by(versions, folders), models)
    if not asked:
        return []
    dataset_hash = content_hash(asked)
    rows = []
    for version, model in zip(versions, models, strict=True):
        images = judge_images(model, asked, progress)
        right = [image.right for image in images]
        row = Evaluation(
            version=version,
            dataset_hash=dataset_hash,
            split=UNSEEN,
            made_by=made_by,
            n=len(images),
            right=sum(right),
            ece=expected_calibration_error(right, [image.confidence for image in images]),
        )
        rows.append(record_evaluation(row, images) if save else row)
    return rows


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


def judge_images(
    model: Model, asked: Sequence[Example], progress: Progress = in_silence
) -> list[JudgedImage]:
    """What `model` answers to each example, unsaved; of a sum its value counts, of no answer nothing."""
    judged = []
    if isinstance(model, TypeClassifier):
        for example in progress(asked, len(asked)):
            slug, confidence = decide(model, example)
            judged.append(_judged(example, example.label, slug, confidence, slug == example.label))
    else:
        for outcome in progress(read_examples(model, asked), len(asked)):
            read, truth = outcome.text, outcome.truth
            right = same_value(read, truth) if model.spec.arithmetic else read == truth
            judged.append(_judged(outcome.example, truth, read or "", outcome.confidence, right))
    return judged


def _judged(example: Example, truth: str, read: str, confidence: float, right: bool) -> JudgedImage:
    return JudgedImage(
        data_hash=example.data_hash, truth=truth, read=read, confidence=confidence, right=right
    )
