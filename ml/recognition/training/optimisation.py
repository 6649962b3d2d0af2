"""How a network's weights move: slower in early layers, and averaged over the last steps."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

# The first layers see strokes, which a new type shares with all others; the last see its characters.
LAYER_RATES: Mapping[str, float] = {"stem": 0.25, "stage1": 0.35, "stage2": 0.5, "stage3": 0.75}
"""Learning rates as shares of the run's, by the beginning of a layer's name; 1 for all others."""


class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW (Loshchilov & Hutter 2019) with a learning rate of its own for each layer.

    `rates`: shares of the learning rate by the beginning of the variable's path.
    """

    def __init__(self, *args: Any, rates: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rates = dict(rates or {})
        self._shares: list[float] = []

    def build(self, variables: list[Any]) -> None:
        # By position: what update_step is given is the backend's variable, which has no path.
        self._shares = [self._share(variable.path) for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)

    def _share(self, path: str) -> float:
        return next((rate for name, rate in self._rates.items() if path.startswith(name)), 1.0)


class WeightAverage:
    """A moving average of a network's weights, batch statistics included (Polyak & Juditsky 1992)."""

    def __init__(self, network: keras.Model, momentum: float) -> None:
        self._network = network
        self._momentum = momentum
        self._mean: list[np.ndarray] | None = None

    def update(self) -> None:
        """Take the present weights in."""
        present = self._network.get_weights()
        if self._mean is None:
            self._mean = present
            return
        for mean, value in zip(self._mean, present, strict=True):
            mean += (1 - self._momentum) * (value - mean)

    def restore(self, weights: list[np.ndarray]) -> None:
        """Go on from a mean of an earlier process."""
        self._mean = [value.copy() for value in weights]

    @property
    def weights(self) -> list[np.ndarray]:
        """The mean so far, the present weights before the first update."""
        return self._network.get_weights() if self._mean is None else [value.copy() for value in self._mean]
