"""What changes the registry of models: registering, evaluating, promoting, rolling back, shadow mode.

An artifact is a folder SLUG/VERSION below one of two roots: the shipped ones come with the program and may be
registered again after an upgrade, the ones trained here never change.
"""

import json
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from ml.kept_curves import delete_curves
from ml.models import (
    GENERAL_SLUG,
    TYPES_SLUG,
    CaptchaType,
    Confirmation,
    Evaluation,
    JudgedImage,
    ModelVersion,
    Promotion,
    checkpoint_of,
    root_of,
    validate_slug,
)
from ml.promotion import plan_promotion
from ml.recognition.artifacts import (
    SPEC_FILE,
    ArtifactError,
    ReaderSpec,
    TypesSpec,
    load_spec,
    model_file,
    verify,
)
from ml.registry import open_model
from ml.shipped_types import describe

logger = logging.getLogger(__name__)

AT_ONCE = 1000
"""Rows of one INSERT; databases limit how many values it may have."""
FIRST_TRAINED_VERSION = 1001
"""Models trained here of a slug that is also shipped count from here: an upgrade never takes their number."""


class RegistryError(Exception):
    """A change that the registry refuses; the message is for the person who asked."""


class CannotRegister(RegistryError):
    """The folder is no artifact that can be registered."""


class TypeIsGone(CannotRegister):
    """The type that a reader was trained for was deleted meanwhile."""


class CannotPromote(RegistryError):
    """`problems` says why not, one line each; `forceable`: whether `force` would do it all the same."""

    def __init__(self, version: ModelVersion, problems: list[str], *, forceable: bool) -> None:
        super().__init__(f"{version} is not promoted: {'; '.join(problems)}")
        self.version, self.problems, self.forceable = version, problems, forceable


class CannotShadow(RegistryError):
    """The version cannot read along."""


class NothingToRollBack(RegistryError):
    """No version served before the one that serves now."""


@dataclass
class InstallReport:
    """What `install_shipped_models` did."""

    registered: list[ModelVersion] = field(default_factory=list)
    promoted: list[ModelVersion] = field(default_factory=list)
    unchanged: list[ModelVersion] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def install_shipped_models() -> InstallReport:
    """Register the artifacts that come with the program and let the newest of each slug serve.

    Safe to run at every start. A version that was registered before is not promoted again, so a roll-back
    lasts; a version that was trained here is never replaced. A damaged folder is reported and left out.
    """
    try:
        return _install()
    except IntegrityError:
        return _install()  # another process registered the same models meanwhile; there is little left to do


def _install() -> InstallReport:
    report = InstallReport()
    with transaction.atomic():
        for spec_file in sorted(root_of(ModelVersion.Origin.SHIPPED).resolve().glob("*/*/spec.json")):
            try:
                version, changed = _register(spec_file.parent, ModelVersion.Origin.SHIPPED)
            except CannotRegister as error:
                logger.error("shipped model: %s", error)
                report.errors.append(str(error))
                continue
            (report.registered if changed else report.unchanged).append(version)
        new = [version for version in report.registered if version.state == ModelVersion.State.CANDIDATE]
        report.promoted = _newest_that_may_serve(new)
        _switch(report.promoted, by=None, reason="shipped with the program")
    return report


def register_version(*, folder: Path, owner: Any = None, new_type: bool = True) -> ModelVersion:
    """Take the artifact in `folder` into the registry, as a candidate.

    A type that is new becomes the private one of `owner`, or a public one without.

    Raises:
        CannotRegister: a folder outside both roots, damaged, or of another model than its name says.
        TypeIsGone: there is no such type, and `new_type` is false.
    """
    folder = folder.resolve()
    for origin in ModelVersion.Origin.values:
        if folder.is_relative_to(root_of(origin).resolve()):
            return _register(folder, origin, owner, new_type)[0]
    raise CannotRegister(f"{folder.name} lies below neither SHIPPED_ARTIFACTS nor ARTIFACTS_ROOT")


def next_version(slug: str) -> int:
    """The number of the next model trained here: above all that were ever registered or lie on the disk."""
    taken = set(ModelVersion.objects.filter(slug=slug).values_list("version", flat=True))
    for origin in ModelVersion.Origin.values:
        folders = (root_of(origin) / slug).glob("*/")
        numbers = (folder.name.removesuffix(".partial") for folder in folders)  # a run may be under way
        taken.update(int(number) for number in numbers if number.isdecimal())
    shipped = (root_of(ModelVersion.Origin.SHIPPED) / slug).is_dir()
    return max([*taken, FIRST_TRAINED_VERSION - 1 if shipped else 0]) + 1


def promote(*, version: ModelVersion, reason: str, by: Any = None, force: bool = False) -> list[ModelVersion]:
    """Let `version` serve, and with it what it needs: a reader brings the type model that knows its type.

    All of them change in one transaction. Returns the promoted versions, `version` first.

    Raises:
        CannotPromote: files that do not load, or force without a reason (never done); or, without `force`, a
            version that does not beat what serves on a common data set (`ml.gate`), readers that a type
            model would lose.
    """
    if force and not reason.strip():
        raise CannotPromote(version, ["force needs a reason"], forceable=False)
    plan = plan_promotion(version)
    broken = _load_errors(plan.versions)
    if broken:
        raise CannotPromote(version, broken, forceable=False)
    if plan.objections and not force:
        raise CannotPromote(version, plan.objections, forceable=True)
    try:
        with transaction.atomic():
            _switch(
                plan.versions,
                by=by,
                reason=reason,
                forced=bool(plan.objections),
                grounds="\n".join([*plan.grounds, *(f"overruled: {line}" for line in plan.objections)]),
            )
    except IntegrityError as error:
        message = "another version was promoted at the same moment; look again"
        raise CannotPromote(version, [message], forceable=False) from error
    logger.info("promoted %s: %s", ", ".join(map(str, plan.versions)), reason)
    return plan.versions


def version_before(slug: str) -> ModelVersion | None:
    """The version that the one which serves now took the place of; None when there was none."""
    steps = Promotion.objects.filter(version__slug=slug, version__state=ModelVersion.State.SERVING)
    step = steps.filter(rolled_back=False).select_related("replaced").first()
    return step.replaced if step is not None else None


def roll_back(*, slug: str, reason: str, by: Any = None) -> ModelVersion:
    """Let the version serve again that the present one replaced.

    Raises:
        NothingToRollBack: there is none.
        CannotPromote: its files no longer load.
    """
    version = version_before(slug)
    if version is None:
        raise NothingToRollBack(f"nothing served as {slug} before the version that serves now")
    broken = _load_errors([version])
    if broken:
        raise CannotPromote(version, broken, forceable=False)
    try:
        with transaction.atomic():
            _switch([version], by=by, reason=reason, rolled_back=True)
    except IntegrityError as error:
        message = "another version was promoted at the same moment; look again"
        raise CannotPromote(version, [message], forceable=False) from error
    logger.info("rolled back to %s: %s", version, reason)
    return version


def delete_artifacts(slug: str) -> None:
    """Delete the folders of a type that is gone, the checkpoint of its last training, and its curves."""
    shutil.rmtree(root_of(ModelVersion.Origin.TRAINED) / slug, ignore_errors=True)
    checkpoint_of(slug).unlink(missing_ok=True)
    delete_curves(slug)


def record_evaluation(row: Evaluation, images: Sequence[JudgedImage]) -> Evaluation:
    """Keep how a version did on a data set and on each of its images, in place of what was kept before."""
    figures = {name: getattr(row, name) for name in ("n", "right", "ece", "made_by", "created")}
    with transaction.atomic():
        kept, _ = Evaluation.objects.update_or_create(
            version=row.version, dataset_hash=row.dataset_hash, split=row.split, defaults=figures
        )
        kept.images.all().delete()
        for image in images:
            image.evaluation = kept
        JudgedImage.objects.bulk_create(images, batch_size=AT_ONCE)
    return kept


def start_shadow(*, version: ModelVersion) -> None:
    """Let `version` silently read a share of the traffic of its slug, in place of any other in shadow there.

    Raises:
        CannotShadow: a type model, the serving version, a slug that nothing serves, files that do not load.
    """
    if version.kind != ModelVersion.Kind.READER:
        raise CannotShadow(f"{version} is a type model: only readers read along")
    if version.state == ModelVersion.State.SERVING:
        raise CannotShadow(f"{version} serves: what answers cannot read along")
    if not ModelVersion.objects.filter(slug=version.slug, state=ModelVersion.State.SERVING).exists():
        raise CannotShadow(f"nothing serves as {version.slug}: there is no traffic to read along")
    broken = _load_errors([version])
    if broken:
        raise CannotShadow(broken[0])
    with transaction.atomic():
        stop_shadow(slug=version.slug)
        version.shadow_since = timezone.now()
        version.save(update_fields=["shadow_since"])
    logger.info("%s reads along in shadow", version)


def stop_shadow(*, slug: str) -> int:
    """End the shadow of a slug; how many there were. What it read is kept."""
    return ModelVersion.objects.filter(slug=slug, shadow_since__isnull=False).update(shadow_since=None)


def forget_shadow_readings(*, version: ModelVersion) -> int:
    """Delete what `version` read in shadow; how many readings there were."""
    return version.shadow_readings.all().delete()[0]


def confirm(*, reference: object, text: str, right: bool = True) -> None:
    """Keep that `text` was right (or, with `right` false, wrong) for the solve that `reference` names.

    The last text said to be right counts. That a text was wrong never takes the place of a right one.
    Versions in shadow are scored by it, whether they read the solve before or after.
    """
    name, told = str(reference), {"text": text, "right": right}
    if right:
        Confirmation.objects.update_or_create(reference=name, defaults=told)
    else:
        Confirmation.objects.get_or_create(reference=name, defaults=told)


def _register(
    folder: Path, origin: str, owner: Any = None, new_type: bool = True
) -> tuple[ModelVersion, bool]:
    """The version in `folder`, and whether anything about it was new."""
    name = f"{folder.parent.name}/{folder.name}"
    try:
        checksums = verify(folder, settings.MAX_MODEL_BYTES)
        spec = load_spec(folder)
        validate_slug(spec.slug)
    except (ArtifactError, ValidationError, OSError) as error:
        raise CannotRegister(f"{name}: {error}") from error
    if name != spec.name or folder.parent.parent != root_of(origin).resolve():
        raise CannotRegister(f"{name}: the folder's spec is of {spec.name}")
    if model_file(spec) not in checksums:
        raise CannotRegister(f"{name}: there is no {model_file(spec)}")
    as_json = json.loads(spec.to_json())
    facts = {
        "kind": spec.kind,
        "sha256": checksums[model_file(spec)],
        "spec_sha256": checksums[SPEC_FILE],
        "spec": as_json,
        "metrics": as_json["metrics"],
    }
    existing = ModelVersion.objects.filter(slug=spec.slug, version=spec.version).first()
    if existing is not None:
        return existing, _register_again(existing, origin, facts)
    with transaction.atomic():
        version = ModelVersion.objects.create(
            slug=spec.slug,
            version=spec.version,
            origin=origin,
            folder=name,
            captcha_type=_type_for(spec, owner, new_type),
            **facts,
        )
    return version, True


def _register_again(version: ModelVersion, origin: str, facts: dict[str, Any]) -> bool:
    """Bring a registered version up to date with its folder; false when it already was."""
    if version.origin != origin:
        raise CannotRegister(f"{version}: a model of that number was {version.get_origin_display()}")
    changed = {name for name, value in facts.items() if getattr(version, name) != value}
    if changed == {"spec_sha256"} and not version.spec_sha256:  # registered before it was kept
        version.spec_sha256 = facts["spec_sha256"]
        version.save(update_fields=["spec_sha256"])
        return False
    if not changed:
        return False
    if origin == ModelVersion.Origin.TRAINED:
        raise CannotRegister(f"{version}: its files are not the ones that were registered")
    for name, value in facts.items():
        setattr(version, name, value)
    version.registered_at = timezone.now()
    version.load_error = ""
    version.save(update_fields=[*facts, "registered_at", "load_error"])
    version.evaluations.all().delete()  # they are of other weights
    version.shadow_readings.all().delete()
    return True


def _type_for(spec: ReaderSpec | TypesSpec, owner: Any, new_type: bool) -> CaptchaType | None:
    """The captcha type that a reader reads, made for the first reader of a type unless `new_type` is false.

    Its row is held until the transaction ends, so that nobody deletes it meanwhile.
    """
    if isinstance(spec, TypesSpec) or spec.slug in (GENERAL_SLUG, TYPES_SLUG):
        return None
    known = CaptchaType.objects.select_for_update().filter(slug=spec.slug).first()
    if known is not None:
        return known
    if not new_type:
        raise TypeIsGone(f"{spec.name}: the type was deleted")
    return CaptchaType.objects.get_or_create(slug=spec.slug, defaults={**describe(spec), "owner": owner})[0]


def _newest_that_may_serve(new: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Of each slug the newest, unless what serves there was trained here or is newer."""
    serving = {v.slug: v for v in ModelVersion.objects.filter(state=ModelVersion.State.SERVING)}
    newest: dict[str, ModelVersion] = {}
    for version in sorted(new, key=lambda v: v.version):
        present = serving.get(version.slug)
        if present is None or (
            present.origin == ModelVersion.Origin.SHIPPED and present.version < version.version
        ):
            newest[version.slug] = version
    return list(newest.values())


def _load_errors(versions: Iterable[ModelVersion]) -> list[str]:
    errors = []
    for version in versions:
        try:
            open_model(version)
        except Exception as error:
            # Whatever the runtime raises on a damaged file, it must not reach the workers.
            logger.warning("model %s does not load: %s", version, error)
            errors.append(f"{version} does not load: {error}")
            ModelVersion.objects.filter(pk=version.pk).update(load_error=errors[-1])
    return errors


def _switch(
    versions: Iterable[ModelVersion],
    *,
    by: Any,
    reason: str,
    forced: bool = False,
    rolled_back: bool = False,
    grounds: str = "",
) -> None:
    """Let each of `versions` serve in place of its slug's present one. The caller holds a transaction."""
    now = timezone.now()
    for version in sorted(versions, key=lambda v: v.slug):  # one order, so that two callers cannot deadlock
        serving = ModelVersion.objects.select_for_update().filter(
            slug=version.slug, state=ModelVersion.State.SERVING
        )
        replaced = serving.exclude(pk=version.pk).first()
        if replaced is not None:
            ModelVersion.objects.filter(pk=replaced.pk).update(state=ModelVersion.State.RETIRED)
        elif serving.filter(pk=version.pk).exists():
            continue
        version.state = ModelVersion.State.SERVING
        version.promoted_at, version.promoted_by, version.load_error = now, by, ""
        version.shadow_since = None  # it answers now
        version.save(update_fields=["state", "promoted_at", "promoted_by", "load_error", "shadow_since"])
        Promotion.objects.create(
            version=version,
            replaced=replaced,
            by=by,
            reason=reason,
            forced=forced,
            rolled_back=rolled_back,
            grounds=grounds,
        )
