"""The levels of the factorial: optimisers, losses, maps, targets, sizes of the training set.

A run is a small network that learns a Boolean function of five bits from some of its 32 rows. Its answers on all rows
are the function that it reached, so that functions are identified exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads import Network, Problem
from allroads.explorers.build import build_explorer
from allroads.explorers.explorer import Explorer
from allroads.networks.mlp import mlp

BITS, ROWS = 5, 32
SEEDS = 64
STEPS = 1000
AGES = (0, 100, 500)
"""Steps after the first fit at which a run's function is read."""

_ROW = np.arange(ROWS)
TABLE = (_ROW[:, None] >> np.arange(BITS)) & 1
INPUTS = (1.0 - 2.0 * TABLE).astype("float32")


def hinge(outputs: Any, labels: Any) -> Any:
    """The hinge loss ``max(0, 1 − y f)`` of labels 0 and 1, ``y = 2·label − 1``."""
    return jnp.maximum(0.0, 1.0 - (2.0 * labels - 1.0) * outputs)[..., 0]


def squared(outputs: Any, labels: Any) -> Any:
    """The squared loss against labels −1 and 1, given as 0 and 1."""
    return jnp.square(2.0 * labels - 1.0 - outputs)[..., 0]


LOSSES: dict[str, Any] = {"cross-entropy": "bce", "squared": squared, "hinge": hinge}

MAPS: dict[str, Network] = {
    "relu": mlp((BITS,), 1, widths=(32, 32)),
    "tanh": mlp((BITS,), 1, widths=(32, 32), activation="tanh", init="lecun"),
    "tanh, weights × 4": mlp((BITS,), 1, widths=(32, 32), activation="tanh", init="lecun", scale=4.0, bias="normal"),
    "tanh, five layers": mlp((BITS,), 1, widths=(16,) * 5, activation="tanh", init="lecun", scale=1.1),
}

OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient descent": ("gd", {}),
    "stochastic": ("sgd", {"batch_size": 4}),
    "momentum": ("sgd", {"momentum": 0.9}),
    "Adam": ("adam", {}),
    "Muon": ("muon", {}),
}
RATES: dict[str, tuple[float, ...]] = {
    "gradient descent": (0.03, 0.1, 0.3),
    "stochastic": (0.01, 0.03, 0.1),
    "momentum": (0.003, 0.01, 0.03),
    "Adam": (0.001, 0.003, 0.01),
    "Muon": (0.003, 0.01, 0.03),
}
"""Learning rates that tuning chooses from."""


def _random(seed: int) -> np.ndarray:
    """A random balanced function: 16 of its 32 rows are 1."""
    return np.isin(_ROW, np.random.default_rng(seed).permutation(ROWS)[: ROWS // 2]).astype(int)


_x = TABLE.T
TARGETS: dict[str, np.ndarray] = {
    "one bit": _x[0],
    "parity of two": _x[0] ^ _x[1],
    "parity of three": _x[0] ^ _x[1] ^ _x[2],
    "majority": (TABLE.sum(axis=1) >= 3).astype(int),
    "multiplexer": np.where(_x[0] == 1, _x[1], _x[2]),
    "bit or and": _x[0] ^ (_x[1] & _x[2]),
    "random A": _random(1),
    "random B": _random(2),
}
SIZES = (16, 24)


def training_rows(target: str, size: int) -> np.ndarray:
    """The rows that are learned from, the same for every run of a target and a size; those of 24 hold those of 16."""
    order = np.random.default_rng([list(TARGETS).index(target), 7]).permutation(ROWS)
    return np.sort(order[:size])


def problem(map_name: str, loss: str, target: str, size: int) -> Problem:
    """What a run learns."""
    rows = training_rows(target, size)
    return Problem(MAPS[map_name], LOSSES[loss], INPUTS[rows], TARGETS[target][rows, None].astype("float32"))


def optimiser(name: str, rate: float) -> Explorer:
    """The explorer of that name."""
    kind, options = OPTIMISERS[name]
    return build_explorer(kind, learning_rate=rate, **options)


@dataclass(frozen=True)
class Reached:
    """What the runs of one cell reached.

    Args:
        codes: At each age, the function as 32 bits, row r being bit r, ``[M, ages]``.
        first: The step of the first fit, −1 where there was none, ``[M]``. Such a run is read at its last step.
    """

    codes: np.ndarray
    first: np.ndarray


def reached(values: np.ndarray, target: str, size: int) -> Reached:
    """The functions at each age, from the outputs at every step ``[M, steps + 1, 32]``."""
    rows = training_rows(target, size)
    answers = values > 0
    fits = (answers[:, :, rows] == (TARGETS[target][rows] > 0)).all(axis=2)
    fitted, last = fits.any(axis=1), values.shape[1] - 1
    start = np.where(fitted, fits.argmax(axis=1), last)
    bits = answers.astype(np.uint64) @ (np.uint64(1) << np.arange(ROWS, dtype=np.uint64))
    at = np.minimum(start[:, None] + np.array(AGES), last)
    return Reached(np.take_along_axis(bits, at, axis=1).astype(np.uint32), np.where(fitted, start, -1))
