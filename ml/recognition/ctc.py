"""The CTC loss (Graves et al. 2006) by Keras, with the blank that `charset` states."""

from itertools import pairwise
from typing import Any

import numpy as np
from keras import ops

from ml.recognition.charset import BLANK, Alphabet

Tensor = Any
"""A tensor of whichever backend Keras runs on."""


def ctc_loss(targets: Tensor, logits: Tensor) -> Tensor:
    """Mean negative log-likelihood of the targets.

    `targets` (batch, longest) int32, padded with BLANK; `logits` (batch, frames, classes) float32.
    """
    lengths = ops.sum(ops.cast(ops.not_equal(targets, BLANK), "int32"), axis=-1)
    frames = ops.full_like(lengths, ops.shape(logits)[1])
    return ops.mean(ops.ctc_loss(targets, logits, lengths, frames, mask_index=BLANK))


def encode_targets(texts: list[str], alphabet: Alphabet, longest: int) -> np.ndarray:
    """Texts as (batch, longest) int32, padded with BLANK.

    Raises ValueError for a character that the alphabet lacks and for a text that is too long.
    """
    targets = np.full((len(texts), longest), BLANK, np.int32)
    for row, text in zip(targets, texts, strict=True):
        indices = alphabet.encode(text)
        if len(indices) > longest:
            raise ValueError(f"{text!r} is longer than {longest} characters")
        row[: len(indices)] = indices
    return targets


def frames_needed(text: str) -> int:
    """Fewest frames that can spell `text`: one a character and a blank between doubled ones."""
    return len(text) + sum(a == b for a, b in pairwise(text))
