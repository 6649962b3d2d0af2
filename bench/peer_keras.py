"""Read images with a reader's Keras network by `predict`, one thread, as a web process might have done.

python peer_keras.py ARTIFACT_FOLDER < paths
"""

import json
import sys
from pathlib import Path
from time import process_time

import keras
import tensorflow as tf

from ml.recognition.artifacts import ReaderSpec, load_spec
from ml.recognition.decoding import greedy_decode
from ml.recognition.images import fit, open_image


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    folder = Path(sys.argv[1])
    spec = load_spec(folder)
    assert isinstance(spec, ReaderSpec)
    network = keras.saving.load_model(folder / "reader.keras", compile=False)
    times, texts = [], []
    for path in sys.stdin.read().splitlines():
        data = Path(path).read_bytes()
        start = process_time()
        prepared = fit(open_image(data), spec.input)
        logits = network.predict(prepared[None], verbose=0)[0]
        texts.append(greedy_decode(logits, spec.alphabet, spec.temperature).text)
        times.append((process_time() - start) * 1000)
    print(json.dumps({"cpu_ms": times, "texts": texts}))


if __name__ == "__main__":
    main()
