"""The CTC loss (Graves et al., 2006, "Connectionist Temporal Classification"), by Keras, blank from `charset`."""

import numpy as np
from keras import ops

from ml.recognition.charset import BLANK, Alphabet


def ctc_loss(targets, logits):
    """Mean negative log-likelihood of the targets.

    `targets` (batch, longest) int32, padded with BLANK; `logits` (batch, frames, classes) float32.
    """
    lengths = ops.sum(ops.cast(ops.not_equal(targets, BLANK), "int32"), axis=-1)
    frames = ops.full_like(lengths, ops.shape(logits)[1])
    return ops.mean(ops.ctc_loss(targets, logits, lengths, frames, mask_index=BLANK))


def encode_targets(texts: list[str], alphabet: Alphabet, longest: int) -> np.ndarray:
    """Texts as (batch, longest) int32, padded with BLANK. Raises ValueError for a character or length too much."""
    targets = np.full((len(texts), longest), BLANK, np.int32)
    for row, text in zip(targets, texts, strict=True):
        indices = alphabet.encode(text)
        if len(indices) > longest:
            raise ValueError(f"{text!r} is longer than {longest} characters")
        row[: len(indices)] = indices
    return targets


def frames_needed(text: str) -> int:
    """Fewest frames that can spell `text`: one a character and a blank between doubled ones."""
    return len(text) + sum(a == b for a, b in zip(text, text[1:], strict=False))
