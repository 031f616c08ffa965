"""Whether two networks are one function on given inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.paths.agreement import agreement
from allroads.pfmap.losses import PerExampleLoss

ROUNDING = 1e-4
"""Outputs count as equal where they differ by less than this share of their standard deviation."""


@dataclass(frozen=True)
class SameFunction:
    """Outputs of two networks compared on the same inputs.

    Args:
        outputs: Whether the outputs are equal up to rounding.
        answers: Share of inputs with the same answer: the class, the bit or the nearest whole number.
        largest: The largest difference of an output.
        spread: Standard deviation of the outputs of both, each output's mean apart.
        inputs: How many inputs.
    """

    outputs: bool
    answers: float
    largest: float
    spread: float
    inputs: int


def same_function(a: Any, b: Any, loss: str | PerExampleLoss) -> SameFunction:
    """Compare outputs ``[N, …, C]`` of two networks on the same inputs.

    Example:
        >>> same_function(np.array([[1.0], [2.0]]), np.array([[1.2], [2.0]]), "mse").answers
        1.0
    """
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    both = np.concatenate([one, other])
    spread = float(np.sqrt(((both - both.mean(axis=0)) ** 2).mean()))
    largest = float(np.abs(one - other).max())
    return SameFunction(largest <= ROUNDING * spread, agreement(one, other, loss), largest, spread, len(one))
