"""Read images with an open reader: paths come on standard input, a JSON line for each goes out.

    python peer_readers.py ddddocr-default|ddddocr-beta|rapidocr ALPHABET < paths

A line has `text`, and from ddddocr `scores` too: log-probabilities (frames, 1 + alphabet), the blank first,
so that the caller can decode them under hints. Runs in an environment of its own and imports nothing of this
project.
"""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def ddddocr_reader(model: str, alphabet: str) -> Callable[[bytes], dict[str, Any]]:
    import ddddocr

    reader = ddddocr.DdddOcr(show_ad=False, beta=model == "beta")

    def read(data: bytes) -> dict[str, Any]:
        found = reader.classification(data, probability=True)
        columns = [0, *(found["charset"].index(character) for character in alphabet)]
        probabilities = np.asarray(found["probabilities"])
        frames = probabilities.reshape(-1, probabilities.shape[-1])[:, columns]
        scores = np.log(np.maximum(frames, 1e-9)).round(3).tolist()
        return {"text": found["text"], "scores": scores}

    return read


def rapidocr_reader() -> Callable[[bytes], dict[str, Any]]:
    from rapidocr import RapidOCR

    logging.disable(logging.INFO)
    reader = RapidOCR()

    def read(data: bytes) -> dict[str, Any]:
        found = reader(data, use_det=False, use_cls=False, use_rec=True)
        return {"text": "".join(found.txts or ())}

    return read


def main() -> None:
    name, alphabet = sys.argv[1:3]
    if name == "rapidocr":
        read = rapidocr_reader()
    else:
        read = ddddocr_reader(name.removeprefix("ddddocr-"), alphabet)
    for path in sys.stdin.read().splitlines():
        print(json.dumps(read(Path(path).read_bytes())), flush=True)


if __name__ == "__main__":
    main()
