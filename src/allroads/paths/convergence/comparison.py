"""What a measure of two representations consists of, and which representations it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.pfmap.arrays import as_array

LEAST = 4
"""Inputs at least: the debiased CKA divides by n − 3."""

MATRICES = 3
"""Matrices over pairs of inputs that a measure holds for each member, at most."""

LARGEST = 4e9
"""Bytes that they may take."""

CONSTANT = 1e-6
"""A representation is constant where no number is further from its column's mean than this share of the largest."""


@dataclass(frozen=True)
class Comparison:
    """A measure of two representations, taken apart so that permutations cost little.

    Args:
        name: How tables call it.
        nearer: ``+1`` where larger values mean nearer, ``-1`` for distances.
        prepare: ``prepare(x) -> prepared`` from a matrix ``[n, d]`` of finite numbers.
        reorder: ``reorder(prepared, order) -> prepared`` of the second one, its rows in another order.
        value: ``value(first, second) -> float``; NaN where the measure is not defined for these two.
        symmetric: Whether ``value(a, b)`` is ``value(b, a)``.
        least: Inputs that it needs.
    """

    name: str
    nearer: int
    prepare: Callable[[np.ndarray], Any]
    reorder: Callable[[Any, np.ndarray], Any]
    value: Callable[[Any, Any], float]
    symmetric: bool = True
    least: int = LEAST

    def between(self, x: Any, y: Any) -> float:
        """The measure of two matrices; NaN where it is not defined for them."""
        first, second = checked_pair(x, y)
        if is_constant(first) or is_constant(second):
            return float("nan")
        return self.value(self.prepare(first), self.prepare(second))


def checked_matrix(x: Any, what: str) -> np.ndarray:
    """A representation in double precision, over a power of two so that its largest number is from ½ to 1.

    No measure depends on the scale, and products of the largest and smallest numbers are numbers too.

    Raises:
        InputError: If it is no matrix ``[n, d]`` of finite numbers with at least four rows.

    Example:
        >>> checked_matrix(np.ones((4, 2)), "x").dtype
        dtype('float64')
    """
    try:
        given = as_array(x)
        if np.iscomplexobj(given):
            raise TypeError("complex ones have two parts; put the real and imaginary parts side by side")
        matrix = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: expected a matrix [inputs, units] of numbers ({error}).") from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InputError(f"{what} has shape {matrix.shape}; expected a matrix [inputs, units]. Flatten other axes.")
    if len(matrix) < LEAST:
        raise InputError(f"{what} has {len(matrix)} inputs; expected {LEAST} or more. Give more inputs.")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        raise InputError(f"{what}: NaN or infinite at {bad.size} inputs, the first at row {bad[0]}; drop them.")
    scaled: np.ndarray = np.ldexp(matrix, -int(np.frexp(np.abs(matrix).max())[1]))
    return scaled


def checked_pair(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two representations of the same inputs.

    Raises:
        InputError: If one is no representation, or they have different numbers of inputs.
    """
    first, second = checked_matrix(x, "x"), checked_matrix(y, "y")
    if len(first) != len(second):
        raise InputError(
            f"x has {len(first)} inputs and y has {len(second)}; expected the same inputs in the same order."
        )
    return first, second


def check_memory(inputs: int, members: int) -> None:
    """Refuse so many inputs that the matrices over pairs of inputs would not fit into memory.

    Raises:
        InputError: Says how many inputs would.

    Example:
        >>> check_memory(2000, 8)
        >>> check_memory(20_000, 8)
        Traceback (most recent call last):
        allroads.errors.InputError: inputs: 20,000 with 8 members need about 77 GB; take 4,564 of them or fewer.
    """
    needed = MATRICES * 8 * members * inputs**2
    if needed > LARGEST:
        fitting = int((LARGEST / (MATRICES * 8 * members)) ** 0.5)
        raise InputError(
            f"inputs: {inputs:,} with {members} members need about {needed / 1e9:.0f} GB; take {fitting:,} of them or "
            "fewer."
        )


def is_constant(x: np.ndarray) -> bool:
    """Whether a representation is the same for all inputs, up to rounding in single precision.

    Example:
        >>> is_constant(np.ones((4, 2))), is_constant(np.eye(4))
        (True, False)
    """
    return bool(np.abs(x - x.mean(axis=0)).max() <= CONSTANT * np.abs(x).max())
