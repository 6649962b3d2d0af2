"""What wrong labels cost, and which of them the list of suspects finds.

    python bench/label_noise.py [--images DIR] [--labels 200] [--noise 0.02] [--seeds 2] [--steps N]

Trains one reader on right labels and one on the same with a share of them made wrong (one character replaced
by another of the alphabet), and reads the same test images with both. Then looks for suspects among the
wrong labels. Without --images the captchas are drawn. Every finished training is kept below var/, so a
stopped run goes on. The goal: 2 % of wrong labels cost no more than one point.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(ROOT))

from ml.recognition.audit.curve import Suspects  # noqa: E402
from ml.recognition.audit.reading import one_case, read  # noqa: E402
from ml.recognition.audit.state import Results  # noqa: E402
from ml.recognition.datasets import Example, content_hash, hash_bytes, load_folder, split  # noqa: E402
from ml.recognition.metrics import describe_interval, interval  # noqa: E402
from ml.recognition.synthesis import defences  # noqa: E402
from ml.recognition.training.learning_curve import train_and_open  # noqa: E402
from ml.recognition.training.suspects import find_suspects  # noqa: E402
from ml.recognition.training.tuning import TrainConfig  # noqa: E402

GENERAL = max((ROOT / "ml" / "artifacts" / "general").iterdir(), key=lambda path: int(path.name))
STATE = ROOT / "var" / "bench-label-noise"
ALPHABET = "2346789ABCDEFGHJKMNPQRTUVWXYZ"
DRAWN_WITH = ("rotation", "lines", "colour")
DRAWN_FROM = 2**42


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of images named by their labels; default: drawn")
    parser.add_argument("--labels", type=int, default=200, help="labels to train on (default 200)")
    parser.add_argument("--test", type=int, default=1000, help="images to test on, at most (default 1000)")
    parser.add_argument("--noise", type=float, default=0.02, help="share of wrong labels (default 0.02)")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions with other labels made wrong")
    parser.add_argument("--folds", type=int, default=5, help="readers that look for suspects; 0 for none")
    parser.add_argument("--steps", type=int, help="of each training; default: as train does")
    parser.add_argument("--from", dest="start", type=Path, default=GENERAL)
    options = parser.parse_args()

    examples = load_folder(options.images or drawn(options.labels + options.test))
    share = options.labels / len(examples)
    pool, test = split(examples, [share, 1 - share])
    test = test[: options.test]
    print(f"{len(pool)} labels, {len(test)} test images, {options.noise:.1%} of the labels wrong", flush=True)
    rows = [measure(pool, test, options, seed) for seed in range(options.seeds)]
    print_sum(rows, len(test))


def measure(
    pool: Sequence[Example], test: Sequence[Example], options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Figures of one repetition, from what is kept or by training."""
    config = TrainConfig(seed=seed, **({"steps": options.steps} if options.steps else {}))
    wrong = with_wrong_labels(pool, options.noise, seed)
    start = options.start / "reader.keras"
    key = {"pool": content_hash(pool), "test": content_hash(test), "config": repr(config)}
    key["start"] = hash_bytes(start.read_bytes())
    right = {}
    for name, labelled in (("clean", pool), ("noisy", wrong)):
        results = Results(STATE, key | {"labels": content_hash(labelled)})
        right[name] = results.get("right")
        if right[name] is None:
            with results.scratch() as out:
                reader = train_and_open("noise", labelled, config, start, out, lambda share, line: None)
                outcomes = read(reader, test, any_case=one_case(e.label for e in pool))
            right[name] = [outcome.right for outcome in outcomes]
            results.put("right", right[name])
        print(f"seed {seed}, {name}: {describe_interval(interval(sum(right[name]), len(test)))}", flush=True)
    figures: dict[str, Any] = dict(right)
    if options.folds:
        results = Results(STATE, key | {"labels": content_hash(wrong)})
        suspects = find_suspects(
            "noise", wrong, folds=options.folds, config=config, start=start, results=results
        )
        figures |= found_of(suspects, pool, wrong)
        print(f"seed {seed}, suspects: {describe_found(figures)}", flush=True)
    return figures


def with_wrong_labels(examples: Sequence[Example], share: float, seed: int) -> list[Example]:
    """The same examples, `share` of them with one character replaced by another one of the labels."""
    rng = random.Random(seed)
    alphabet = sorted(set("".join(example.label for example in examples)))
    chosen = set(rng.sample(range(len(examples)), max(1, round(share * len(examples)))))
    return [
        replace(example, label=mistyped(example.label, alphabet, rng)) if index in chosen else example
        for index, example in enumerate(examples)
    ]


def mistyped(label: str, alphabet: Sequence[str], rng: random.Random) -> str:
    at = rng.randrange(len(label))
    other = rng.choice([character for character in alphabet if character != label[at]])
    return label[:at] + other + label[at + 1 :]


def found_of(suspects: Suspects, pool: Sequence[Example], wrong: Sequence[Example]) -> dict[str, int]:
    planted = {b.data_hash for a, b in zip(pool, wrong, strict=True) if a.label != b.label}
    listed = {suspect.data_hash for suspect in suspects.suspects}
    first = {suspect.data_hash for suspect in suspects.suspects[: len(planted)]}
    return {
        "planted": len(planted),
        "listed": len(listed),
        "found": len(planted & listed),
        "found_first": len(planted & first),
    }


def describe_found(figures: dict[str, Any]) -> str:
    return (
        f"found {describe_interval(interval(figures['found'], figures['planted']))} of the planted; of "
        f"{figures['listed']} listed, {figures['found']} were planted; "
        f"{figures['found_first']} of them among the first {figures['planted']}"
    )


def print_sum(rows: Sequence[dict[str, Any]], n: int) -> None:
    """The cost as a paired difference over all repetitions, with its 95 % interval (normal)."""
    pairs = [(c, w) for row in rows for c, w in zip(row["clean"], row["noisy"], strict=True)]
    differences = [int(c) - int(w) for c, w in pairs]
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / max(1, len(differences) - 1)
    half = 1.96 * math.sqrt(variance / len(differences))
    print(
        f"cost of wrong labels: {mean * 100:.2f} points "
        f"(95 % interval {(mean - half) * 100:.2f} to {(mean + half) * 100:.2f}, n = {len(rows)} × {n})"
    )
    if "planted" in rows[0]:
        total = {
            name: sum(row[name] for row in rows) for name in ("planted", "listed", "found", "found_first")
        }
        print(f"suspects: {describe_found(total)}")


def drawn(count: int) -> Path:
    """A folder of drawn captchas of one type, made where it is not there yet."""
    name = hashlib.sha256(repr((count, ALPHABET, DRAWN_WITH)).encode()).hexdigest()[:12]
    folder = STATE / f"drawn-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(DRAWN_FROM, DRAWN_FROM + count):
        text = defences.random_text(seed, ALPHABET, (5, 5))
        file = folder / f"{text}__{seed - DRAWN_FROM}.png"
        if not file.is_file():
            defences.draw(seed, text, (160, 50), DRAWN_WITH).save(file)
    return folder


if __name__ == "__main__":
    main()
