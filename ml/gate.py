"""Whether a version may take the place of the one that serves: only on figures, and only if it is better."""

from dataclasses import dataclass

import numpy as np

from ml.models import Evaluation, ModelVersion
from ml.selectors import accuracy_of


@dataclass(frozen=True)
class Verdict:
    """`line` says what the decision rests on, or what is missing."""

    passed: bool
    line: str


def judge(version: ModelVersion, serving: ModelVersion | None) -> Verdict:
    """Whether `version` may replace `serving`, the version of its slug that serves now (None: none does).

    Both must have been evaluated on one data set. The newest such data set decides: more right answers win,
    and on a tie the candidate passes only if its calibration error is not above the other's.
    """
    if serving is None:
        return _first(version)
    if serving.pk == version.pk:
        return Verdict(True, f"{version} serves already")
    pair = newest_pair(version, serving)
    if pair is None:
        return Verdict(
            False,
            f"{version} and {serving}, which serves, were not evaluated on one data set: "
            f"manage.py evaluate {version.slug} --version {version.version} --images DIR",
        )
    new, old = pair
    figures = f"{version} reads {new}; {serving} reads {old}; data set {new.dataset_hash[:12]}"
    if new.right > old.right:
        return Verdict(True, figures)
    if new.right < old.right:
        return Verdict(False, f"fewer right answers: {figures}")
    if new.ece <= old.ece:
        return Verdict(True, f"as many right answers and no worse a calibration: {figures}")
    # Four digits may show two that differ as equal.
    more = np.format_float_positional(new.ece - old.ece, precision=2, fractional=False)
    return Verdict(
        False, f"no more right answers, and a worse calibration (its error is {more} higher): {figures}"
    )


def newest_pair(version: ModelVersion, serving: ModelVersion) -> tuple[Evaluation, Evaluation] | None:
    """Both versions' evaluations on the data set that they share; of several the one evaluated last."""
    present = {(e.dataset_hash, e.split): e for e in serving.evaluations.all()}
    for evaluation in version.evaluations.order_by("-created", "-id"):
        other = present.get((evaluation.dataset_hash, evaluation.split))
        if other is not None:
            return evaluation, other
    return None


def _first(version: ModelVersion) -> Verdict:
    """The first version of a slug has nobody to beat, but must have been measured on something."""
    if version.origin == ModelVersion.Origin.SHIPPED:
        return Verdict(True, f"{version} is shipped with the program and nothing served before it")
    stated = accuracy_of(version.metrics)
    if stated is not None and stated.measured_on == "validation":
        stated = None  # the images that selected it prove nothing
    measured = version.evaluations.first() or stated
    if measured is not None:
        return Verdict(True, f"nothing served before {version}; it reads {measured}")
    return Verdict(
        False,
        f"{version} was never evaluated: manage.py evaluate {version.slug} --version {version.version} "
        "--images DIR",
    )
