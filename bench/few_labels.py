"""How well a reader reads after a few labels, beside open readers on the same test images.

    python bench/few_labels.py --images DIR/*/ [--counts 0 25 100 500] [--draws 3] [--minutes 3 | --steps 900]
        [--state FILE] [--peers] [--ablate] [--plot FILE.svg]

From each folder a fixed part is set aside as the test (twins never cross). For each count and draw so many
of the others are labelled and the rest may be looked at without labels; a reader is tuned from the general
one and judged on the test by exact match in any case (of a sum by its value), what is not answered counted
as wrong. With 0 labels it is the general reader, with and without the hints (alphabet and length) that the
peers get too: with --peers, ddddocr and rapidocr read in the environment below var/bench-peers
(`bench/read_speed.py --with-peers` makes it; rapidocr is installed into it by hand). Every finished point
is a line in --state, and a run that was stopped goes on after the last one.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.read_speed import PEERS_ENVIRONMENT
from ml.recognition import arithmetic
from ml.recognition.charset import Alphabet
from ml.recognition.datasets import Example, load_folder, split
from ml.recognition.decoding import Constraints, constrained_decode
from ml.recognition.images import open_image
from ml.recognition.looks import PLAIN, SIX
from ml.recognition.metrics import expected_calibration_error, wilson_interval
from ml.recognition.reader import Reader

GENERAL = max(
    (Path(__file__).resolve().parent.parent / "ml" / "artifacts" / "general").iterdir(),
    key=lambda path: int(path.name),
)
PEERS_PYTHON = PEERS_ENVIRONMENT / "bin" / "python"
PEERS = ("ddddocr-default", "ddddocr-beta", "rapidocr")
TEST_SHARE = 0.28
UNLABELLED = 600

# Each adds one thing to the one before.
ABLATION: dict[str, dict[str, Any]] = {
    "labels alone, no general reader": {
        "start": False, "layer_rates": False, "averaging": 0.0, "synthesis": 0.0, "restyled": 0.0,
        "spliced": 0.0, "unlabelled": False, "looks": (PLAIN,),
    },
    "from the general reader": {"start": True},
    "rates by layer": {"layer_rates": True},
    "averaged weights": {"averaging": 0.98},
    "drawn captchas": {"synthesis": 0.4},
    "in the type's colours": {"restyled": 0.5},
    "spliced captchas": {"spliced": 0.25},
    "images without labels": {"unlabelled": True},
    "looking again in doubt": {"looks": SIX},
}  # fmt: skip


def main() -> None:
    arguments = parsed()
    points = State(arguments.state)
    for folder in arguments.images:
        examples = load_folder(folder)
        rest, test = split(examples, [1 - TEST_SHARE, TEST_SHARE], seed=1)
        sets = Set(folder.name, rest, test[: arguments.test], hints_of(examples))
        if arguments.ablate:
            ablate(sets, points, arguments)
            continue
        if arguments.peers:
            measure_peers(sets, points)
        for count in arguments.counts:
            for draw in range(1 if count in (0, 500) else arguments.draws):
                if count <= len(rest):
                    measure(sets, count, draw, points, arguments)
    (print_ablation if arguments.ablate else print_table)(points)
    if arguments.plot:
        arguments.plot.write_text(plot(points), encoding="utf-8")


class Set:
    """A labelled type: what may be labelled, the test, and the hints that every reader is given."""

    def __init__(self, name: str, rest: list[Example], test: list[Example], hints: Constraints) -> None:
        self.name, self.rest, self.test, self.hints = name, rest, test, hints


class State:
    """Finished points, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.points: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def has(self, **key: Any) -> bool:
        return any(all(point.get(name) == value for name, value in key.items()) for point in self.points)

    def add(self, **point: Any) -> None:
        self.points.append(point)
        with self._path.open("a") as stream:
            stream.write(json.dumps(point) + "\n")
        print(point, flush=True)


def measure(sets: Set, count: int, draw: int, points: State, arguments: argparse.Namespace) -> None:
    if count == 0:
        for name, hints in (("general", Constraints()), ("general, hints", sets.hints)):
            if not points.has(set=sets.name, reader=name):
                points.add(
                    set=sets.name, reader=name, count=0, draw=0, **judged(Reader(GENERAL), sets, hints)
                )
        return
    if points.has(set=sets.name, reader="tuned", count=count, draw=draw):
        return
    figures = tuned(sets, count, draw, arguments, {"start": True, "unlabelled": True})
    points.add(set=sets.name, reader="tuned", count=count, draw=draw, **figures)


def measure_peers(sets: Set, points: State) -> None:
    """Open readers on the same images: as they are, and decoded under the hints the general reader gets."""
    alphabet = "".join(sorted(sets.hints.alphabet or ()))
    for peer in PEERS:
        if points.has(set=sets.name, reader=peer):
            continue
        paths = "\n".join(str(example.path.resolve()) for example in sets.test)
        script = Path(__file__).with_name("peer_readers.py")
        command = [str(PEERS_PYTHON), str(script), peer, alphabet]
        process = subprocess.run(command, input=paths, stdout=subprocess.PIPE, text=True, check=True)
        answers = [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]
        plain = hinted = 0
        for example, answer in zip(sets.test, answers, strict=True):
            # Spaces and marks that no captcha here has are nobody's fault.
            text = "".join(c for c in answer["text"] if c.isalnum() or c in "+-*/=?×÷")
            plain += same(text, example.label)
            if "scores" in answer:
                reading = constrained_decode(np.array(answer["scores"]), Alphabet(alphabet), sets.hints)
                hinted += reading is not None and same(reading.text, example.label)
        points.add(set=sets.name, reader=peer, count=0, draw=0, right=plain, n=len(sets.test))
        if "scores" in answers[0]:
            points.add(
                set=sets.name, reader=f"{peer}, hints", count=0, draw=0, right=hinted, n=len(sets.test)
            )


def ablate(sets: Set, points: State, arguments: argparse.Namespace) -> None:
    options: dict[str, Any] = {}
    for step, change in ABLATION.items():
        options |= change
        for count in arguments.counts:
            for draw in range(arguments.draws):
                if count and not points.has(set=sets.name, step=step, count=count, draw=draw):
                    figures = tuned(sets, count, draw, arguments, options)
                    points.add(set=sets.name, step=step, count=count, draw=draw, **figures)


def tuned(
    sets: Set, count: int, draw: int, arguments: argparse.Namespace, options: dict[str, Any]
) -> dict[str, Any]:
    """Figures of a reader tuned on `count` labels, and the seconds that took, export included."""
    from ml.recognition.training.tuning import TrainConfig, train_reader

    order = random.Random(f"{sets.name} {count} {draw}").sample(sets.rest, len(sets.rest))
    settings = {name: value for name, value in options.items() if name not in ("start", "unlabelled")}
    config = replace(
        TrainConfig(minutes=arguments.minutes, steps=arguments.steps, seed=draw, held_out=0.0), **settings
    )
    others = order[count : count + UNLABELLED] if options["unlabelled"] else []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        train_reader(
            # No slug that the synthesis has a style for: every type is a new one here.
            "new_type",
            order[:count],
            start=GENERAL / "reader.keras" if options["start"] else None,
            out=Path(folder) / "1",
            config=config,
            unlabelled=[example.path for example in others],
        )
        seconds = time.monotonic() - began
        return judged(Reader(Path(folder) / "1"), sets, Constraints()) | {"seconds": round(seconds)}


def judged(reader: Reader, sets: Set, hints: Constraints) -> dict[str, Any]:
    """Right answers of n, calibration error, and the share right among the surest 95 %."""
    confidences, correct = [], []
    for example in sets.test:
        reading = reader.read(open_image(example.path.read_bytes()), hints)
        confidences.append(reading.confidence if reading else 0.0)
        correct.append(reading is not None and same(reading.text, example.label))
    surest = sorted(zip(confidences, correct, strict=True), reverse=True)[: math.ceil(0.95 * len(correct))]
    return {
        "right": sum(correct),
        "n": len(correct),
        "ece": round(expected_calibration_error(correct, confidences), 4),
        "surest": round(sum(right for _, right in surest) / len(surest), 4),
    }


def same(text: str, label: str) -> bool:
    """Whether a reading is right: in any case of letters; of a sum, whether its value is."""
    try:
        value = arithmetic.answer(label)
    except arithmetic.NotArithmetic:
        return text.upper() == label.upper()
    try:
        # What stands behind the sum is no part of it, and ddddocr writes 十 for a plus.
        return arithmetic.answer(text.partition("=")[0].replace("十", "+")) == value
    except arithmetic.NotArithmetic:
        return False


def hints_of(examples: Sequence[Example]) -> Constraints:
    """Alphabet and length, as the owner of a captcha knows them; of sums the alphabet alone."""
    lengths = {len(example.label) for example in examples}
    characters = set("".join(example.label for example in examples))
    if any(set(example.label) & set("+*×÷") for example in examples):
        return Constraints(alphabet=frozenset(characters))
    both = {c.upper() for c in characters} | {c.lower() for c in characters}
    return Constraints(min_length=min(lengths), max_length=max(lengths), alphabet=frozenset(both))


def shares(points: State, **key: Any) -> list[float]:
    return [
        point["right"] / point["n"]
        for point in points.points
        if all(point.get(name) == value for name, value in key.items())
    ]


def names(points: State) -> list[str]:
    return sorted({point["set"] for point in points.points})


def columns(points: State) -> Iterator[tuple[str, dict[str, Any]]]:
    readers = dict.fromkeys(point["reader"] for point in points.points if point["count"] == 0)
    for reader in readers:
        yield reader, {"reader": reader}
    for count in sorted({point["count"] for point in points.points if point["count"]}):
        yield f"{count} labels", {"reader": "tuned", "count": count}


def print_table(points: State) -> None:
    heads = list(columns(points))
    print("\n| set | n |" + "".join(f" {title} |" for title, _ in heads))
    print("|---|---|" + "---|" * len(heads))
    means: dict[str, list[float]] = {}
    for name in names(points):
        n = next(point["n"] for point in points.points if point["set"] == name)
        cells = []
        for title, key in heads:
            found = shares(points, set=name, **key)
            if found:
                means.setdefault(title, []).append(statistics.mean(found))
            cells.append(spread(found, n))
        print(f"| {name} | {n} |" + "".join(f" {cell} |" for cell in cells))
    print(
        "| mean | |" + "".join(f" {100 * statistics.mean(means.get(title, [0])):.1f} |" for title, _ in heads)
    )
    print_calibration(points)
    taken = [(point["count"], point["seconds"]) for point in points.points if "seconds" in point]
    for count in sorted({count for count, _ in taken}):
        median = statistics.median(seconds for n, seconds in taken if n == count)
        print(f"{count} labels: {median:.0f} s a training (median)")


def print_calibration(points: State) -> None:
    """Calibration error and the share right among the surest 95 %, means over draws, in per cent."""
    heads = [
        (title, key) for title, key in columns(points) if title.startswith("general") or "labels" in title
    ]
    print("\nCalibration error · right among the surest 95 %")
    print("| set |" + "".join(f" {title} |" for title, _ in heads))
    print("|---|" + "---|" * len(heads))
    for name in names(points):
        cells = []
        for _, key in heads:
            found = [
                (point["ece"], point["surest"])
                for point in points.points
                if "ece" in point and all(point.get(k) == v for k, v in {"set": name, **key}.items())
            ]
            means = [100 * statistics.mean(values) for values in zip(*found, strict=True)]
            cells.append("{:.1f} · {:.1f}".format(*means) if means else "–")
        print(f"| {name} |" + "".join(f" {cell} |" for cell in cells))


def spread(found: list[float], n: int) -> str:
    """Mean and standard deviation of several draws; the 95 % interval of one."""
    if not found:
        return "–"
    if len(found) > 1:
        return f"{100 * statistics.mean(found):.1f} ± {100 * statistics.stdev(found):.1f}"
    low, high = wilson_interval(round(found[0] * n), n)
    return f"{100 * found[0]:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def print_ablation(points: State) -> None:
    keys = sorted({(point["set"], point["count"]) for point in points.points if "step" in point})
    print("\n| step |" + "".join(f" {name}, {count} |" for name, count in keys) + " mean |")
    print("|---|" + "---|" * (len(keys) + 1))
    for step in ABLATION:
        cells = [shares(points, set=name, count=count, step=step) for name, count in keys]
        if all(cells):
            means = [statistics.mean(cell) for cell in cells]
            shown = "".join(f" {100 * mean:.1f} |" for mean in [*means, statistics.mean(means)])
            print(f"| {step} |{shown}")


def plot(points: State) -> str:
    """Exact match against labels, a line a set, as SVG."""
    width, height, left, bottom = 640, 360, 48, 40
    counts = sorted({point["count"] for point in points.points})
    colours = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#65a30d")

    def x(count: int) -> float:
        return left + counts.index(count) * (width - left - 150) / max(1, len(counts) - 1)

    def y(share: float) -> float:
        return 16 + (1 - share) * (height - bottom - 16)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    ]
    for share in (0, 0.25, 0.5, 0.75, 0.9, 1):
        parts.append(
            f'<path d="M{left} {y(share):.1f}H{width - 150}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.0%}</text>'
        )
    for count in counts:
        parts.append(f'<text x="{x(count):.1f}" y="{height - 20}" text-anchor="middle">{count}</text>')
    parts.append(f'<text x="{width / 2 - 50}" y="{height - 4}" text-anchor="middle">labels</text>')
    for colour, name in zip(colours, names(points), strict=False):
        line = []
        for count in counts:
            reader = "general, hints" if count == 0 else "tuned"
            if found := shares(points, set=name, count=count, reader=reader):
                line.append((x(count), y(statistics.mean(found))))
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in line)
        label_y = 30 + 20 * names(points).index(name)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{width - 140}" y="{label_y}" fill="{colour}">{name}</text>'
        )
    return "".join([*parts, "</svg>\n"])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", nargs="+", type=Path, required=True)
    parser.add_argument("--counts", nargs="+", type=int, default=[0, 25, 100, 500])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--test", type=int, default=200, help="at most so many test images a set")
    parser.add_argument("--state", type=Path, default=Path("few_labels.jsonl"))
    parser.add_argument("--peers", action="store_true", help="read with ddddocr and rapidocr too")
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--plot", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
