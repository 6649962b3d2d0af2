"""Pre-train the general reader on drawn captchas."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from jobs.commands import TaskCommand
from ml.management.arguments import TrainingBar, load_folders, require_training
from ml.models import GENERAL_SLUG
from ml.recognition.synthesis.fonts import NoFonts
from ml.recognition.synthesis.generator import STYLES
from ml.selectors import accuracy_of
from ml.services import RegistryError
from ml.training_runs import CannotTrain, register_if_below_a_root, starting_weights, training_folder


class Command(TaskCommand):
    help = (
        "Trains the general reader, from which every type's reader is tuned, on captchas that are drawn "
        "while it trains. Continues from earlier weights with --from. The result is a candidate."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--minutes", type=float, default=60)
        parser.add_argument(
            "--from", default="none", dest="start", metavar="MODEL",
            help="continue from general, general/VERSION, a folder or a reader.keras; default: from nothing",
        )  # fmt: skip
        parser.add_argument("--steps", type=int, help="this many steps instead, so that a run is repeatable")
        parser.add_argument("--seed", type=int, default=0, help="another seed draws other captchas")
        parser.add_argument(
            "--keep",
            type=float,
            default=0.0,
            metavar="SHARE",
            help="with --from: mix the weights that were gone on from into the last ones by this share",
        )  # fmt: skip
        parser.add_argument(
            "--styles", nargs="+", type=style_share, metavar="STYLE=SHARE",
            help=f"shares of the generator's styles ({', '.join(STYLES)}); default: its own",
        )  # fmt: skip
        parser.add_argument("--processes", type=int, default=1, help="how many draw beside the training")
        parser.add_argument(
            "--watch", nargs="+", type=Path, default=[], metavar="DIR",
            help="labelled folders whose exact match is logged each round, and used for nothing",
        )  # fmt: skip
        parser.add_argument("--out", type=Path, metavar="DIR", help="default: ARTIFACTS_ROOT/general/NUMBER")

    def handle(self, *args: Any, **options: Any) -> None:
        watched = load_folders(options["watch"])
        if not 0 <= options["keep"] < 1:
            raise CommandError(f"--keep is a share from 0 to below 1, not {options['keep']:g}.")
        require_training()
        from ml.recognition.training.pretraining import PretrainConfig, pretrain

        config = PretrainConfig(
            minutes=options["minutes"],
            steps=options["steps"],
            seed=options["seed"],
            kept=options["keep"],
            processes=options["processes"],
            styles=dict(options["styles"]) if options["styles"] else None,
        )
        bar = TrainingBar(GENERAL_SLUG)
        try:
            start = starting_weights(options["start"])
            with training_folder(GENERAL_SLUG, options["out"]) as folder:
                pretrain(
                    config, folder.path, start=start, version=folder.version, watch=watched, progress=bar
                )
            version = register_if_below_a_root(folder.final)
        except (CannotTrain, NoFonts, RegistryError) as error:
            raise CommandError(str(error)) from error
        finally:
            bar.close()
        if version is None:
            self.stdout.write(f"Written to {folder.final}; below no root of models, so not registered.")
        else:
            self.stdout.write(f"{version} is a candidate, exact match {accuracy_of(version.metrics)}")


def style_share(text: str) -> tuple[str, float]:
    """``ripples=0.5`` as a style and its share. Raises ArgumentTypeError."""
    style, _, share = text.partition("=")
    if style not in STYLES:
        raise ArgumentTypeError(f"{style!r} is no style; there are {', '.join(STYLES)}")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text}: the share must be a positive number, as in {style}=0.5")
    return style, value
