"""What the commands `learning_curve` and `audit` share: their images, their files, and how they end early."""

import json
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tqdm
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, OutputWrapper

from jobs.commands import TO_STDOUT
from jobs.progress import is_quiet, watched
from ml import kept_curves
from ml.management.arguments import SHARES, load_folders
from ml.models import RESERVED_SLUGS, validate_slug
from ml.recognition.artifacts import TRAINED_ON_FILE, ArtifactError, trained_on
from ml.recognition.audit.state import write_whole
from ml.recognition.datasets import Example, content_hash
from ml.recognition.label_checks import Finding, errors, usable
from ml.recognition.synthesis.fonts import NoFonts
from ml.training_runs import CannotTrain

INTERRUPTED = 130


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("type", help="the type's slug, such as captcha_type_a; it need not exist yet")
    parser.add_argument(
        "--images", nargs="+", type=Path, required=True, metavar="DIR",
        help="folders whose file names are the labels, or that hold a labels.csv",
    )  # fmt: skip
    parser.add_argument(
        "--counts", nargs="+", type=positive, default=[], metavar="N",
        help="numbers of labels to train on",
    )  # fmt: skip
    parser.add_argument("--draws", type=positive, default=1, help="trainings for each count, default 1")
    parser.add_argument("--minutes", type=float, help="for each training, at most; default as in train")
    parser.add_argument("--steps", type=positive, help="this many steps instead, so that a run is repeatable")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--from", default="general", dest="start", metavar="MODEL",
        help="the general reader to start from: general, general/VERSION or a folder",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="default: beside the kept results")
    add_json_file(parser)
    parser.add_argument(
        "--state", type=Path, metavar="DIR",
        help="where finished trainings are kept, so that a stopped run goes on; default: CURVES_ROOT",
    )  # fmt: skip


def add_json_file(parser: ArgumentParser) -> None:
    """``--json``, for commands whose figures are many."""
    parser.add_argument(
        "--json", type=Path, nargs="?", const=TO_STDOUT, metavar="FILE",
        help="write the same facts as JSON to FILE, or in place of the text where no FILE is given",
    )  # fmt: skip


def positive(text: str) -> int:
    """A whole number above 0. Raises ValueError, as argparse wants it."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def check_slug(slug: str) -> None:
    """Raises CommandError for what is no name of a type."""
    if slug in RESERVED_SLUGS:
        raise CommandError(f"{slug} is the name of another model, not of a type.")
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise CommandError(f"{slug}: {error.messages[0]}") from error


def load(folders: Sequence[Path], tell: OutputWrapper) -> tuple[list[Example], list[Finding]]:
    """The usable examples of all folders, and what was found; every finding is told.

    Raises CommandError where nothing can be trained on.
    """
    examples = [example for found in load_folders(folders).values() for example in found]
    kept, findings = usable(examples)
    for finding in findings:
        tell.write(f"{finding.level}: {finding}")
    fatal = errors(findings)
    if fatal:
        raise CommandError(f"Nothing to measure: {fatal[0]}")
    return kept, findings


def refuse_a_start_that_saw(start: Path, examples: Sequence[Example]) -> None:
    """Raises CannotTrain: what was trained on these images cannot be tested on them."""
    if not (start.parent / TRAINED_ON_FILE).is_file():
        return
    seen = trained_on(start.parent)
    count = sum(example.data_hash in seen for example in examples)
    if count:
        raise CannotTrain(f"the model to start from was trained on {count} of these images")


def state_root(options: dict[str, Any]) -> Path:
    root: Path = options["state"] or kept_curves.root()
    return root.resolve()


def check_writable(*paths: Path | None) -> None:
    """Find out before hours of training, not after. Raises OSError."""
    for path in paths:
        if path is not None and path != TO_STDOUT:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder, name a file")
            write_whole(path.with_name(f".{path.name}.probe"), "")
            path.with_name(f".{path.name}.probe").unlink()


def write_json(path: Path | None, facts: dict[str, Any], stdout: OutputWrapper) -> None:
    if path is None:
        return
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    if path == TO_STDOUT:
        stdout.write(text, ending="")
    else:
        write_whole(path, text)


def finding_facts(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [{"code": f.code, "level": f.level, "count": f.count, "message": str(f)} for f in findings]


def how_it_was_made(examples: Sequence[Example], options: dict[str, Any], start: Path) -> dict[str, str]:
    """Rows for the page."""
    bound = (
        f"{options['steps']} steps" if options["steps"] else f"{options['minutes'] or 3:g} minutes at most"
    )
    return {
        "images": f"{len(examples)}, data set {content_hash(examples)[:12]}",
        "started from": "/".join(start.parent.parts[-2:]),
        "each training": bound,
        "seed": str(options["seed"]),
    }


@dataclass
class Kept:
    """The folder in which a run keeps what is finished; None before there is one."""

    folder: Path | None = None
    interrupted: bool = False

    def interrupt(self, *signal: Any) -> NoReturn:
        """What Ctrl-C does. Noted, because libraries that call back into Python swallow the exception."""
        self.interrupted = True
        raise KeyboardInterrupt

    def go_on(self) -> None:
        """Raises KeyboardInterrupt where one was swallowed."""
        if self.interrupted:
            raise KeyboardInterrupt

    def beside(self, name: str) -> Path:
        """A file in that folder."""
        return (self.folder or Path()) / name

    def __str__(self) -> str:
        if self.folder is None:
            return "Nothing was finished."
        return f"What was finished is kept in {self.folder}; the same command goes on from there."


@contextmanager
def plain_ends() -> Iterator[Kept]:
    """Turns an interrupt, a full disk and unfit data into one line that says where finished work is kept."""
    kept = Kept()
    before = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread()
    try:
        if here:
            signal.signal(signal.SIGINT, kept.interrupt)
        yield kept
    except KeyboardInterrupt:
        raise CommandError(f"Stopped. {kept}", returncode=INTERRUPTED) from None
    except OSError as error:
        raise CommandError(f"Cannot read or write: {error}. {kept}") from error
    except (ArtifactError, CannotTrain, NoFonts, ValueError) as error:
        raise CommandError(str(error)) from error
    finally:
        if here:
            signal.signal(signal.SIGINT, before)


class Bar:
    """A progress bar over several parts, each a share of the whole."""

    def __init__(self, title: str, weights: Sequence[float], kept: Kept) -> None:
        self._kept = kept
        total = sum(weights) or 1
        self._ends = [sum(weights[: i + 1]) / total for i in range(len(weights))]
        self._bar = tqdm.tqdm(total=1.0, desc=title, bar_format=SHARES, disable=not watched())

    def part(self, number: int) -> Callable[[float, str], None]:
        before = self._ends[number - 1] if number else 0.0
        width = self._ends[number] - before

        def progress(share: float, line: str) -> None:
            self._kept.go_on()
            done = min(1.0, before + width * share)
            self._bar.update(max(0.0, done - self._bar.n))
            if not is_quiet():
                self._bar.write(f"{done:4.0%}  {line}", file=sys.stderr)

        return progress

    def close(self) -> None:
        self._bar.close()
