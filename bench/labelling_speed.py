"""Seconds an image by a scripted labeller with human key timings, beside the planted errors it caught.

    .venv-dev/bin/python -m bench.labelling_speed [--images 200] [--wrong 0.05] [--lapses 0.02]

Images of five drawn characters, with predictions of which a share is wrong in one character. The labeller
types into an empty field, verifies one prediction after the other, and accepts pages of twelve; its pace and
what it overlooks stand in bench/scripted_labeller.py. Last, right predictions are accepted by one key each.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bench.labelling_page import ALPHABET, Service, add_people, add_type, drawn, logged_in
from bench.scripted_labeller import AT_ONCE, ScriptedLabeller
from tests.chromium import launched

WATCH_KEYS = """
    window.keys = 0;
    addEventListener("keydown", () => { window.keys += 1; }, true);
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200, help="to verify, and in the grid")
    parser.add_argument("--typed", type=int, default=60, help="images typed into an empty field")
    parser.add_argument("--wrong", type=float, default=0.05, help="share of the predictions that are wrong")
    parser.add_argument("--lapses", type=float, default=0.02, help="share of the errors that is overlooked")
    parser.add_argument("--accepted", type=int, default=200, help="right predictions accepted by one key")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder))
        add_people("bench")
        chance = random.Random(1)
        for mode, images in (("type", options.typed), ("verify", options.images), ("grid", options.images)):
            predicted(mode, images, options.wrong, chance)
        predicted("keys", options.accepted, 0.0, chance)
        service.start()
        try:
            with launched() as browser:
                page = logged_in(browser.new_page(), service.address)
                for mode in ("type", "verify", "grid"):
                    measure(page, service.address, mode, options)
                accept_by_one_key(page, service.address, options.accepted)
        finally:
            service.kill()


def predicted(slug: str, images: int, wrong: float, chance: random.Random) -> None:
    """A type whose training images carry a reader's predictions, as if one had read them."""
    from labeling.importing import add_image
    from labeling.models import Sample

    captcha_type = add_type(slug)
    for number in range(images):
        text = "".join(chance.choices(ALPHABET, k=5))
        sample, _ = add_image(
            captcha_type=captcha_type, data=drawn(text), name=f"{text}.png", source="bench", split="train"
        )
        place = chance.randrange(5)
        other = chance.choice([c for c in ALPHABET if c != text[place]])
        prediction = text[:place] + other + text[place + 1 :] if number < images * wrong else text
        confidence = chance.uniform(0.95, 1.0)
        Sample.objects.filter(pk=sample.pk).update(
            prediction=prediction, confidence=confidence, characters=[round(confidence, 3)] * 5,
            model_version="bench/1", priority=chance.random(),
        )  # fmt: skip


def truth_of(assignment: str) -> str:
    from labeling.models import Assignment

    return Assignment.objects.select_related("sample").get(pk=assignment).sample.name.removesuffix(".png")


def measure(page: Page, address: str, mode: str, options: argparse.Namespace) -> None:
    from labeling.models import Assignment, Label

    labeller = ScriptedLabeller(page, truth_of, lapses=options.lapses)
    labeller.open(f"{address}/labeling/{mode}/", mode)
    began = time.monotonic()
    done = labeller.accept_pages() if mode == "grid" else labeller.type_images(10_000)
    seconds = time.monotonic() - began
    labeller.all_saved()
    said = {
        label.sample_id: label
        for label in Label.objects.filter(sample__captcha_type__slug=mode, undone_at=None).select_related(
            "sample"
        )
    }
    right = sum(label.text == label.sample.name.removesuffix(".png") for label in said.values())
    planted: list[Any] = [
        one
        for one in Assignment.objects.filter(sample__captcha_type__slug=mode).select_related("sample")
        if one.prefill and one.prefill != one.sample.name.removesuffix(".png")
    ]
    caught = sum(said[one.sample_id].text == one.sample.name.removesuffix(".png") for one in planted)
    print(
        f"{mode}: {seconds / done:.2f} s an image (n = {done}), {labeller.own_seconds / done:.2f} of it the "
        f"person's own; {labeller.keys / done:.1f} keys an image; "
        f"{right} of {len(said)} texts right; wrong predictions caught: "
        + (f"{caught} of {len(planted)}, with {options.lapses:.0%} overlooked" if planted else "none shown"),
        flush=True,
    )


def accept_by_one_key(page: Page, address: str, images: int) -> None:
    page.add_init_script(WATCH_KEYS)
    labeller = ScriptedLabeller(page, truth_of, pace=AT_ONCE)
    labeller.open(f"{address}/labeling/keys/", "verify")
    done = labeller.type_images(images)
    labeller.all_saved()
    keys, mice = page.evaluate("[window.keys, window.mice]")
    print(f"verify, right predictions: {done} images accepted by {keys} keys and {mice} mouse events")


if __name__ == "__main__":
    main()
