"""Train a reader for a type, or the type model, from folders of labelled images."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.management.arguments import TrainingBar, images_below, load_folders, require_training
from ml.models import (
    RESERVED_SLUGS,
    TYPES_SLUG,
    CaptchaType,
    ModelVersion,
    Promotion,
    checkpoint_of,
    validate_slug,
)
from ml.recognition import label_checks
from ml.recognition.artifacts import ArtifactError
from ml.recognition.datasets import Example
from ml.recognition.synthesis.fonts import NoFonts
from ml.selectors import accuracy_of
from ml.services import RegistryError, promote
from ml.training_runs import (
    CannotTrain,
    TrainingFolder,
    compare_with_present,
    register_if_below_a_root,
    starting_weights,
    training_folder,
)


class Command(TaskCommand):
    help = (
        "Trains a reader for one type from a folder whose file names are the labels (2KXQE.jpeg, ABC__2.png) "
        "or that holds a labels.csv; with --types, the type model from one folder for each type. "
        "The result is a candidate: manage.py promote lets it serve."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", nargs="?", help="the type's slug, such as captcha_type_a")
        parser.add_argument(
            "--types",
            action="store_true",
            help="train the type model; a folder's name is its images' type",
        )
        parser.add_argument("--images", nargs="+", type=Path, required=True, metavar="DIR")
        parser.add_argument(
            "--from", default="general", dest="start", metavar="MODEL",
            help="the general reader to start from: general, general/VERSION, a folder, or none",
        )  # fmt: skip
        parser.add_argument("--minutes", type=float, help="at most; default 3, for the type model 1")
        parser.add_argument("--steps", type=int, help="this many steps instead, so that a run is repeatable")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument(
            "--held-out", type=float, metavar="SHARE",
            help="share of the images that neither training nor selection sees; default 0.12",
        )  # fmt: skip
        parser.add_argument(
            "--test", nargs="+", type=Path, default=[], metavar="DIR", dest="tests",
            help="labelled images that judge the reader; then none of --images is held out for that",
        )  # fmt: skip
        parser.add_argument(
            "--unlabelled", nargs="+", type=Path, default=[], metavar="DIR",
            help="more images of the type, without labels: what is read surely and alike teaches too",
        )  # fmt: skip
        parser.add_argument(
            "--accuracy", type=float, metavar="SHARE",
            help="refuse what is unsure, so that of the validation images answered so many are right (0.99)",
        )  # fmt: skip
        parser.add_argument("--out", type=Path, metavar="DIR", help="default: ARTIFACTS_ROOT/SLUG/NUMBER")
        parser.add_argument("--owner", metavar="USER", help="makes a new type this user's private one")
        parser.add_argument(
            "--known-type", action="store_true",
            help="the type exists: should it be deleted meanwhile, so is what was trained for it",
        )  # fmt: skip
        parser.add_argument(
            "--promote", action="store_true", help="let it serve if it reads the held-out images better"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["types"] == bool(options["type"]):
            raise CommandError("Name one type to train a reader for, or give --types for the type model.")
        slug = TYPES_SLUG if options["types"] else options["type"]
        owner = self._owner(slug, options["owner"])
        folders = load_folders(options["images"])
        require_training()
        try:
            with training_folder(slug, options["out"]) as folder:
                self._train(slug, folders, folder, options)
            version = register_if_below_a_root(folder.final, owner=owner, new_type=not options["known_type"])
        except (CannotTrain, NoFonts, RegistryError, ValueError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"Nothing was registered: {error}") from error
        except KeyboardInterrupt as error:
            again = "" if slug == TYPES_SLUG else "; the same command goes on from its last checkpoint"
            raise CommandError(f"Stopped, nothing was registered{again}.", returncode=130) from error
        if version is None:
            self.stdout.write(f"Written to {folder.final}; below no root of models, so not registered.")
            return
        self.stdout.write(f"{version} is a candidate, exact match {accuracy_of(version.metrics)}")
        if options["promote"]:
            self._promote_if_better(version, folders)

    def _owner(self, slug: str, username: str | None) -> Any:
        """The user that a new type shall belong to; refuses a type of somebody else."""
        if slug != TYPES_SLUG:
            if slug in RESERVED_SLUGS:
                raise CommandError(f"{slug} is the name of another model, not of a type.")
            try:
                validate_slug(slug)
            except ValidationError as error:
                raise CommandError(f"{slug}: {error.messages[0]}") from error
        if username is None:
            return None
        user_model = get_user_model()
        try:
            owner = user_model.objects.get_by_natural_key(username)
        except user_model.DoesNotExist as error:
            raise CommandError(f"There is no user {username}.") from error
        if CaptchaType.objects.filter(slug=slug).exclude(owner=owner).exists():
            raise CommandError(f"{slug} exists and does not belong to {username}.")
        return owner

    def _train(
        self,
        slug: str,
        folders: Mapping[str, list[Example]],
        folder: TrainingFolder,
        options: dict[str, Any],
    ) -> None:
        names = ("minutes", "steps", "held_out", "accuracy")
        chosen = {name: options[name] for name in names if options[name] is not None}
        chosen["seed"] = options["seed"]
        bar = TrainingBar(f"{slug}/{folder.version}", folder.path / "training.csv")
        try:
            if slug == TYPES_SLUG:
                from ml.recognition.training.types import TypesConfig, train_types

                chosen.pop("accuracy", None)
                spec = train_types(
                    folders,
                    out=folder.path,
                    version=folder.version,
                    config=TypesConfig(**chosen),
                    progress=bar,
                )
                self._tell_look_alikes(spec.metrics["look_alikes"])
            else:
                from ml.recognition.training.tuning import TrainConfig, train_reader

                train_reader(
                    slug,
                    self._usable(self._examples(folders)),
                    start=starting_weights(options["start"]),
                    out=folder.path,
                    version=folder.version,
                    config=TrainConfig(**chosen),
                    tests=self._examples(load_folders(options["tests"])),
                    unlabelled=images_below(options["unlabelled"]),
                    checkpoint=checkpoint_of(slug),
                    progress=bar,
                )
        finally:
            bar.close()

    def _examples(self, folders: Mapping[str, list[Example]]) -> list[Example]:
        return [example for examples in folders.values() for example in examples]

    def _usable(self, examples: list[Example]) -> list[Example]:
        """What can be learned from; the rest is listed, or refused when it is all."""
        kept, findings = label_checks.usable(examples)
        for finding in findings:
            self.stderr.write(f"{finding.level}: {finding}")
        if wrong := label_checks.errors(findings):
            raise CommandError(str(wrong[0]))
        return kept

    def _tell_look_alikes(self, pairs: list[dict[str, Any]]) -> None:
        for pair in pairs:
            first, second = pair["types"]
            self.stderr.write(
                f"warning: {first} and {second} look alike ({pair['share']:.0%} of the images in doubt). "
                "Pictures in doubt go to the general reader: callers should name the type, or join the two."
            )

    def _promote_if_better(self, version: ModelVersion, folders: Mapping[str, list[Example]]) -> None:
        try:
            comparison = compare_with_present(version, folders)
            if comparison is not None and not comparison.better:
                self.stdout.write(f"Not promoted: {comparison}")
                return
            reason = f"better: {comparison}" if comparison else "nothing served to compare it with"
            promoted = promote(version=version, reason=reason[:300])
        except (RegistryError, ArtifactError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{', '.join(map(str, promoted))} serves ({reason})")
        self.stdout.write(Promotion.objects.filter(version=version)[0].grounds)
