"""A whole sitting, from images without a text to all of them labelled, with the seconds of each step.

    .venv-dev/bin/python -m bench.labelling_sitting --images DIR [--n 200] [--typed 40] [--minutes 1]

The file names in DIR are the labels, which the service does not see. In a real browser two people with the
pace of bench/scripted_labeller.py do what the page asks of them: one imports the images as a zip and types
until so many can be trained on, the other gives the test images their second, blind reading; then they train
by the page's button, promote, accept the sure readings in the grid, verify the rest, and export. The export
is compared with the truth. Needs the training packages in this environment.
"""

import argparse
import csv
import io
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page

from bench.labelling_page import Service, add_people, add_type, logged_in
from bench.scripted_labeller import AT_ONCE, HUMAN, Pace, ScriptedLabeller
from tests.chromium import launched

SLUG = "sitting"
SECONDS_TO_TRAIN = 1800


@dataclass(frozen=True)
class Step:
    title: str
    images: int
    seconds: float

    def __str__(self) -> str:
        each = f", {self.seconds / self.images:.2f} s each" if self.images else ""
        return f"{self.title}: {f'{self.images} images, ' if self.images else ''}{self.seconds:.1f} s{each}"


class Sitting:
    """Two people, one type, and the truth by file name."""

    def __init__(
        self, browser: Browser, address: str, truths: dict[str, str], pace: Pace, lapses: float
    ) -> None:
        self.address, self.truths = address, truths
        self.first, self.second = (
            ScriptedLabeller(
                logged_in(browser.new_context().new_page(), address, name),
                self._truth_of,
                pace=pace,
                lapses=lapses,
                chance=random.Random(name),
            )
            for name in ("ada", "ben")
        )
        self.steps: list[Step] = []

    def run(self, archive: Path, typed: int, minutes: int) -> None:
        from labeling.models import Sample, Split

        samples = Sample.objects.filter(captcha_type__slug=SLUG)
        agreed = samples.filter(status=Sample.Status.AGREED)
        to_train = agreed.exclude(split=Split.TEST)
        second = samples.filter(status=Sample.Status.OPEN, split=Split.TEST, opinions=1)
        self._step("import", lambda: self._import(archive))
        self._step(
            f"type, until {typed} can be trained on",
            lambda: self._label(self.first, "type", lambda: to_train.count() >= typed),
        )
        self._step(
            "second reading of the test images",
            lambda: self._label(self.second, "type", lambda: not second.exists()),
        )
        self._step("train and evaluate", lambda: self._train(minutes))
        self._step("promote, and read what waits", self._promote)
        self._step("accept in the grid", self._accept)
        self._step("verify the rest", lambda: self._label(self.first, "verify"))
        self._step(
            "second reading where the reader was contradicted", lambda: self._label(self.second, "verify")
        )
        self._step("export", self._export)

    def _step(self, title: str, work: Callable[[], int]) -> None:
        began = time.monotonic()
        images = work()
        self.steps.append(Step(title, images, time.monotonic() - began))
        print(self.steps[-1], flush=True)

    def _import(self, archive: Path) -> int:
        page = self._open("import")
        page.set_input_files("#files", archive)
        page.wait_for_selector("#state[data-state=saved]", timeout=300_000)
        return len(self.truths)

    def _label(
        self, labeller: ScriptedLabeller, mode: str, enough: Callable[[], bool] = lambda: False
    ) -> int:
        labeller.open(f"{self.address}/labeling/{SLUG}/", mode)

        def saved_enough() -> bool:
            labeller.all_saved()  # what was typed counts when it is stored
            return enough()

        done = labeller.type_images(10_000, saved_enough)
        labeller.all_saved()
        labeller.page.goto(f"{self.address}/labeling/")  # the images that it held are free again
        return done

    def _accept(self) -> int:
        self.first.open(f"{self.address}/labeling/{SLUG}/", "grid")
        done = self.first.accept_pages()
        self.first.all_saved()
        self.first.page.goto(f"{self.address}/labeling/")
        return done

    def _train(self, minutes: int) -> int:
        from jobs.models import JobRun

        page = self._open("datasets")
        page.select_option("#minutes", str(minutes))
        page.get_by_role("button", name="Train").click()
        run = JobRun.objects.get(kind="train a type")
        self._until(page, lambda: JobRun.objects.get(pk=run.pk).ended)
        run.refresh_from_db()
        if run.state != JobRun.State.SUCCEEDED:
            raise SystemExit(f"The training {run.state}: {run.outcome}\n{run.log}")
        page.get_by_role("heading", name="Candidate").wait_for()
        return 0

    def _promote(self) -> int:
        from jobs.models import JobRun

        page = self.first.page
        page.get_by_role("button", name="Promote", exact=True).click()
        page.wait_for_selector("text=serves now")
        reading = JobRun.objects.get(kind="read samples")
        self._until(page, lambda: JobRun.objects.get(pk=reading.pk).ended)
        return 0

    def _export(self) -> int:
        answer = self.first.page.request.get(f"{self.address}/labeling/{SLUG}/export/csv")
        self.exported = list(csv.DictReader(io.StringIO(answer.text())))
        return len(self.exported)

    def truth_of_hash(self, sha256: str) -> str:
        from labeling.models import Sample

        return self.truths[Sample.objects.get(captcha_type__slug=SLUG, sha256=sha256).name]

    def _until(self, page: Page, true: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS_TO_TRAIN
        while not true():
            if time.monotonic() > end:
                raise SystemExit("waited in vain")
            page.wait_for_timeout(500)

    def _open(self, path: str) -> Page:
        self.first.page.goto(f"{self.address}/labeling/{SLUG}/{path}")
        return self.first.page

    def _truth_of(self, assignment: str) -> str:
        from labeling.models import Assignment

        return self.truths[Assignment.objects.select_related("sample").get(pk=assignment).sample.name]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--typed", type=int, default=40)
    parser.add_argument("--minutes", type=int, default=1, choices=[1, 3, 10])
    parser.add_argument("--lapses", type=float, default=0.02, help="share of the errors that is overlooked")
    parser.add_argument("--at-once", action="store_true", help="no human pace: for tests")
    options = parser.parse_args()
    files = sorted(path for path in options.images.iterdir() if path.suffix in (".png", ".jpg", ".jpeg"))
    chosen = random.Random(1).sample(files, min(options.n, len(files)))
    pace = AT_ONCE if options.at_once else HUMAN
    with tempfile.TemporaryDirectory() as folder:
        sitting = sit(Path(folder), chosen, pace=pace, options=options)
        settled = [row for row in sitting.exported if row["status"] == "agreed"]
        right = sum(row["label"] == sitting.truth_of_hash(row["sha256"]) for row in settled)
    seconds = sum(step.seconds for step in sitting.steps)
    print(
        f"whole sitting: {seconds:.0f} s; of {len(sitting.exported)} images {len(settled)} have a text, "
        f"{right} of these are right"
    )
    if options.at_once and right < len(chosen):
        sys.exit("A labeller that makes no errors has to end with no error.")


def sit(folder: Path, files: Sequence[Path], *, pace: Pace, options: argparse.Namespace) -> Sitting:
    """The sitting on a service of its own, whose database and models lie in `folder`."""
    from ml.recognition.datasets import label_of_name

    service = Service(folder)
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from labeling.models import Membership

    call_command("install_models", verbosity=0)
    truths = {
        f"{number:04}{path.suffix}": label_of_name(path.name).upper() for number, path in enumerate(files)
    }
    archive = folder / "images.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        for name, path in zip(truths, files, strict=True):
            stream.write(path, name)
    add_people("ada", "ben")
    lengths = [len(text) for text in truths.values()]
    captcha_type = add_type(
        SLUG,
        alphabet="".join(sorted(set("".join(truths.values())))),
        min_length=min(lengths),
        max_length=max(lengths),
        owner=get_user_model().objects.get(
            username="ada"
        ),  # a private type needs no type model that knows it
    )
    # Staff do not count as a second labeller of somebody's own type.
    ben = get_user_model().objects.filter(username="ben")
    ben.update(is_staff=False, is_superuser=False)
    Membership.objects.create(captcha_type=captcha_type, person=ben.get())
    service.start()
    try:
        with launched() as browser:
            sitting = Sitting(
                browser, service.address, truths, pace, 0.0 if options.at_once else options.lapses
            )
            sitting.run(archive, options.typed, options.minutes)
    finally:
        service.kill()
    return sitting


if __name__ == "__main__":
    main()
