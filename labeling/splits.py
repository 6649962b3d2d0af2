"""Which part of the data an image belongs to. Images with the same text never lie in different parts."""

from labeling.models import Sample, Split
from ml.recognition.datasets import hash_bytes

TEST_SHARE = 0.15
VALIDATION_SHARE = 0.10
_ORDER = [Split.TRAIN, Split.VALIDATION, Split.TEST]


def split_of(key: str) -> str:
    """The part that a hash falls to: the image's where its text is unknown, else the text's.

    The same key always falls to the same part, whatever else there is, on every machine.
    """
    point = int(hash_bytes(f"split {key}".encode())[:8], 16) / 2**32
    if point < TEST_SHARE:
        return Split.TEST
    return Split.VALIDATION if point < TEST_SHARE + VALIDATION_SHARE else Split.TRAIN


def join_twins(sample: Sample) -> str:
    """Bring all images of the type that bear the text of `sample` into one part; which one that is.

    They go to the first of training, validation, test that one of them is in: a training image was not read
    by two people and may have been trained on, so it cannot become a test image. The other way is harmless.
    """
    twins = Sample.objects.filter(
        captcha_type=sample.captcha_type_id, status=Sample.Status.AGREED, text__iexact=sample.text
    )
    parts = set(twins.values_list("split", flat=True)) | {sample.split}
    joined = next(part for part in _ORDER if part in parts)
    if len(parts) > 1:
        twins.exclude(split=joined).update(split=joined)
    return joined
