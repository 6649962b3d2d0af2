"""What the serving reader makes of the images, and which of them would teach the next one most."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from labeling.models import Sample, Split
from labeling.rules import LabelRules
from ml import registry
from ml.models import CaptchaType
from ml.recognition.constraints import Constraints
from ml.recognition.decoding import Reading
from ml.recognition.images import ImageError, open_image
from ml.recognition.reader import Reader

logger = logging.getLogger(__name__)

AT_ONCE = 64
"""Images read while somebody waits for the next ten: a tenth of a second, as a read takes about 1.5 ms."""
BUCKET = 0.05
"""Confidences this close count as equal; within them the rarest characters come first."""
KNOWN_TEXTS = 2000


def serving_reader(captcha_type: CaptchaType) -> Reader | None:
    """The reader of the type, else the general one, else None."""
    recognizer = registry.recognizer(captcha_type.owner_id)
    return recognizer.readers.get(captcha_type.slug) or recognizer.general


def refresh_predictions(*, captcha_type: CaptchaType, limit: int | None = AT_ONCE) -> int:
    """Read open images that the serving reader has not read yet, and rank them; how many were read.

    Reading twice is harmless: two people who ask at once store the same prediction.
    """
    reader = serving_reader(captcha_type)
    if reader is None:
        return 0
    stale = (
        Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.OPEN)
        .exclude(model_version=reader.spec.name)
        .order_by("priority", "id")
    )
    seen = _characters_known(captcha_type)
    done = 0
    while limit is None or done < limit:
        batch = list(stale[: AT_ONCE if limit is None else min(AT_ONCE, limit - done)])
        if not batch:
            break
        _predict(batch, reader, LabelRules.of(captcha_type), seen)
        done += len(batch)
    return done


def _predict(batch: list[Sample], reader: Reader, rules: LabelRules, seen: Counter[str]) -> None:
    for sample in batch:
        reading = _read(sample, reader, rules)
        sample.model_version = reader.spec.name
        sample.prediction = rules.fold(reading.text) if reading else ""
        sample.confidence = reading.confidence if reading and reading.text else None
        sample.characters = [round(one.confidence, 3) for one in reading.characters] if reading else []
    for sample in sorted(batch, key=lambda one: one.confidence or 0.0):
        if sample.split != Split.TEST:  # those are drawn at random and keep their place
            sample.priority = _priority(sample.confidence, sample.prediction, seen)
    fields = ["model_version", "prediction", "confidence", "characters", "priority"]
    Sample.objects.bulk_update(batch, fields)


def _read(sample: Sample, reader: Reader, rules: LabelRules) -> Reading | None:
    """None where the reader sees no text, or none that the type's rules allow."""
    constraints = Constraints(
        min_length=rules.min_length,
        max_length=rules.max_length,
        alphabet=_both_cases(rules) if rules.alphabet else None,
    )
    try:
        with sample.image.open("rb") as file:
            reading = reader.read(open_image(file.read()), constraints)
    except (ImageError, OSError) as error:
        logger.warning("sample %s cannot be read: %s", sample.pk, error)
        return None
    return reading if reading is not None and rules.accepts(reading.text) else None


def _both_cases(rules: LabelRules) -> frozenset[str]:
    if rules.case_sensitive:
        return frozenset(rules.alphabet)
    return frozenset(rules.alphabet.upper() + rules.alphabet.lower() + rules.alphabet)


def _priority(confidence: float | None, text: str, seen: Counter[str]) -> float:
    """In [0, 1.05): least confident first; of equals, the one whose rarest character was seen least."""
    bucket = int((confidence or 0.0) / BUCKET) * BUCKET
    rarest = min((seen[character] for character in text), default=0)
    seen.update(set(text))
    return bucket + BUCKET * (1 - 1 / (1 + rarest))


def _characters_known(captcha_type: CaptchaType) -> Counter[str]:
    texts: Iterable[str] = (
        Sample.objects.filter(captcha_type=captcha_type, status=Sample.Status.AGREED)
        .order_by("-decided_at")
        .values_list("text", flat=True)[:KNOWN_TEXTS]
    )
    return Counter(character for text in texts for character in set(text))
