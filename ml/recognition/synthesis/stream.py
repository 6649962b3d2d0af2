"""A stream of drawn captchas for training, made by several processes ahead of the reader of it."""

import multiprocessing
import os
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from ml.recognition.images import InputSize, fit
from ml.recognition.synthesis import generator, negatives

_CHUNK = 256

Blocks = Generator[list[tuple[np.ndarray, str]], None, None]


@dataclass(frozen=True)
class StreamConfig:
    """What a stream draws. `style` None mixes all styles; `negatives` is the share without text."""

    size: InputSize
    seed: int = 0
    style: str | None = None
    weights: Mapping[str, float] | None = None
    """Shares of the styles in place of generator.STYLES, when `style` is None."""
    negatives: float = 0.07
    alphabet: str | None = None
    """Characters that may be written; None for whatever the style writes."""
    lengths: tuple[int, int] | None = None
    """Shortest and longest text when `alphabet` is given."""
    width_multiple: int = 16
    """Widths are rounded to it: batches hold one width, and the rounding varies the aspect a little."""


def blocks(config: StreamConfig, block_size: int, processes: int = 1) -> Blocks:
    """Endless blocks of `block_size` pairs: image (height, width, 3) uint8 and text; fixed by the seed.

    `processes` 0 draws in this process. Close the iterator to end the processes.
    """
    chunks_a_block = max(1, block_size // _CHUNK)
    first_seeds = range(config.seed, 2**62, _CHUNK)
    if processes == 0:
        yield from _blocks_here(config, first_seeds, chunks_a_block)
        return
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_step_back) as pool:
        ahead: deque = deque()
        seeds = iter(first_seeds)
        while True:
            while len(ahead) < 2 * chunks_a_block:
                ahead.append(pool.apply_async(draw_chunk, (config, next(seeds))))
            yield [pair for _ in range(chunks_a_block) for pair in ahead.popleft().get()]


def draw_chunk(config: StreamConfig, first_seed: int, count: int = _CHUNK) -> list[tuple[np.ndarray, str]]:
    """`count` pairs from consecutive seeds."""
    size = InputSize(config.size.height, config.width_multiple, config.size.min_width, config.size.max_width)
    return [_draw(config, size, seed) for seed in range(first_seed, first_seed + count)]


def _draw(config: StreamConfig, size: InputSize, seed: int) -> tuple[np.ndarray, str]:
    rng = np.random.default_rng((seed, 1))
    if rng.random() < config.negatives:
        image, _ = negatives.draw(seed)
        return fit(image, size), ""
    text = None
    if config.alphabet is not None:
        shortest, longest = config.lengths or (4, 6)
        letters = rng.integers(0, len(config.alphabet), int(rng.integers(shortest, longest + 1)))
        text = "".join(config.alphabet[i] for i in letters)
    style = config.style
    if style is None and config.weights is not None:
        shares = np.array(list(config.weights.values()))
        style = str(rng.choice(list(config.weights), p=shares / shares.sum()))
    drawing = generator.draw(seed, style, text)
    return fit(drawing.image, size), drawing.text


def _blocks_here(config: StreamConfig, first_seeds: range, chunks_a_block: int) -> Blocks:
    seeds = iter(first_seeds)
    while True:
        yield [pair for _ in range(chunks_a_block) for pair in draw_chunk(config, next(seeds))]


def _step_back() -> None:
    """Drawing yields to training, which waits for nothing else."""
    os.nice(1)
