"""What several looks at a picture are worth to the general reader, and by which mean they are best joined.

    .venv-dev/bin/python -m bench.looks --images DIR/amazon DIR/tii_insurance [--count 300] [--drawn 500]
        [--seed 6]

Of each folder so many images, chosen by the seed, without hints and with them (alphabet and lengths of these
images); besides so many drawn captchas, without. Exact match in any case. All looks are taken at each
picture, where a reader that serves stops as soon as it is sure. The exponent of the power mean is 0 for the
geometric mean, 1 for the arithmetic one.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.few_labels import GENERAL, hints_of
from ml.recognition import decoding
from ml.recognition.datasets import load_folder
from ml.recognition.decoding import Constraints
from ml.recognition.images import open_image
from ml.recognition.looks import SIX, Look, shown
from ml.recognition.reader import Reader
from ml.recognition.synthesis import generator

ELEVEN = (
    *SIX,
    Look(margin=0.4),
    Look(stretch=1.9),
    Look(stretch=0.7),
    Look(stretch=1.25, margin=0.12),
    Look(stretch=1.5, margin=0.25),
)
GEOMETRIC = 1e-3
"""In place of 0, at which a power mean is a limit."""
DRAWN_SEED = 2**42 + 2**41
"""Seeds from here on are neither trained on nor calibrated with."""
WAYS = [(1, 0.5), *((count, exponent) for count in (3, 6, 11) for exponent in (GEOMETRIC, 0.5, 1.0))]

Pictures = list[tuple[Image.Image, str]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", nargs="+", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--drawn", type=int, default=500)
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    reader = Reader(GENERAL)
    columns: dict[str, list[float]] = {}
    for folder in options.images:
        examples = load_folder(folder)
        chosen = random.Random(options.seed).sample(examples, min(options.count, len(examples)))
        pictures = [(open_image(one.path.read_bytes()), one.label) for one in chosen]
        seen = [looked(reader, image) for image, _ in pictures]
        texts = [text for _, text in pictures]
        columns[folder.name] = shares(reader, seen, texts, Constraints())
        columns[f"{folder.name}, hints"] = shares(reader, seen, texts, hints_of(chosen))
    drawings = [generator.draw(DRAWN_SEED + number, "mixed") for number in range(options.drawn)]
    seen = [looked(reader, drawing.image) for drawing in drawings]
    columns["drawn"] = shares(reader, seen, [drawing.text for drawing in drawings], Constraints())
    print_table(columns)


def looked(reader: Reader, image: Image.Image) -> list[NDArray[np.float32]]:
    return [reader.logits(shown(image, reader.spec.input, look)[None])[0] for look in ELEVEN]


def shares(
    reader: Reader, seen: Sequence[list[NDArray[np.float32]]], texts: Sequence[str], hints: Constraints
) -> list[float]:
    """Per cent read right in each of WAYS, then by each look alone, then by at least one of them."""

    def right(looks: list[NDArray[np.float32]], text: str) -> bool:
        reading = reader.decode(looks, hints)
        return reading is not None and reading.text.upper() == text.upper()

    rows: list[list[bool]] = []
    for count, exponent in WAYS:
        with mock.patch.object(decoding, "_AGREEMENT", exponent):
            rows.append([right(looks[:count], text) for looks, text in zip(seen, texts, strict=True)])
    alone = [
        [right([looks[number]], text) for looks, text in zip(seen, texts, strict=True)]
        for number in range(len(ELEVEN))
    ]
    rows += [*alone, [any(column) for column in zip(*alone, strict=True)]]
    return [100 * sum(row) / len(row) for row in rows]


def print_table(columns: dict[str, list[float]]) -> None:
    heads = [f"{count} looks, exponent {exponent:g}" for count, exponent in WAYS]
    heads += [f"{look} alone" for look in ELEVEN] + ["any of them alone"]
    print("| |" + "".join(f" {name} |" for name in columns) + " mean |")
    print("|---|" + "---|" * (len(columns) + 1))
    for head, values in zip(heads, zip(*columns.values(), strict=True), strict=True):
        cells = "".join(f" {value:.1f} |" for value in (*values, sum(values) / len(values)))
        print(f"| {head} |{cells}")


if __name__ == "__main__":
    main()
