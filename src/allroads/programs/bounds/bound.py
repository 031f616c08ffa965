"""Bounds of arrays over a box of hidden states, with slopes and rounding errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDING = 2.0**-44
"""Relative rounding error of one operation in double precision: 2⁹ units in the last place.

It covers a product sum of 2⁸ terms in any order, with or without fused multiply-adds, and functions such as tanh.
"""

TERMS = 256
"""Terms of a product sum that :data:`ROUNDING` covers; longer ones take it in proportion."""

GRID, SMALL = 2.0**10, 2.0**12
"""Multiples of 1/GRID below SMALL are added and multiplied without rounding."""

TINY = 1e-300
"""Absolute error of an operation whose result is too small for its full precision."""


class UnboundedError(Exception):
    """An operation for which there is no bound."""


@dataclass(frozen=True, eq=False)
class Bound:
    """Bounds of an array over a box of hidden states.

    Let the hidden state be ``c + Σ_k y_k g_k`` with ``|y_k| ≤ 1``, computed exactly. Then the exact value lies in
    ``[low, high]`` and its slopes along each g_k in ``[slow, shigh]``; the value that the network computes, from a
    hidden state that is off by its own error, differs from the exact one by at most ``error``.

    Args:
        low: Lower bound, with the shape of the array.
        high: Upper bound.
        error: Bound of the difference between the computed and the exact value.
        slow: Lower bound of the slopes, ``[K, *shape]``; ``None`` for zero.
        shigh: Upper bound of the slopes.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    slow: np.ndarray | None = None
    shigh: np.ndarray | None = None

    @property
    def point(self) -> bool:
        """Whether it is one array, known exactly."""
        return self.slow is None and self.low is self.high and not self.error.any()

    @property
    def size(self) -> np.ndarray:
        """Largest absolute value, computed or exact."""
        found: np.ndarray = np.maximum(np.abs(self.low), np.abs(self.high)) + self.error
        return found

    @property
    def slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the slopes, zeros where there are none."""
        if self.slow is None or self.shigh is None:
            zero = np.zeros((1, *self.low.shape))
            return zero, zero
        return self.slow, self.shigh


def constant(value: Any) -> Bound:
    """An array that is known exactly."""
    array = np.asarray(value)
    return Bound(array, array, np.zeros(array.shape))


def none(*operands: Bound) -> bool:
    """Whether no operand moves with the hidden state."""
    return all(o.slow is None for o in operands)
