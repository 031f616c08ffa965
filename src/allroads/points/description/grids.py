"""Grids that parameters are rounded to: one scale a tensor, one a channel, or one a row and a column.

On a grid of b bits a number w with the unit u lies at ``u k / K``, with an integer code k between −K and K and
``K = 2^{b−1} − 1``: the grid is symmetric and has a zero, so weights that were pruned stay so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from allroads.errors import UnknownNameError

WIDTHS = (0, *range(2, 17))
"""Bit widths that are tried: nothing but zeros, then 3, 7, 15, … levels. One bit would have no more levels than
none."""

_SWEEPS = 1000
_BALANCED = 1e-13
_IMPROVED = 8


@dataclass(frozen=True)
class Grid:
    """The grid of one tensor.

    Args:
        unit: What the code K stands for, broadcastable to the tensor; ``None`` where the tensor is kept as it is.
        scales: How many numbers describe the unit, or the tensor where it is kept.
    """

    unit: np.ndarray | None
    scales: int


def per_tensor(leaf: np.ndarray) -> Grid:
    """One unit a tensor, its largest absolute value.

    Example:
        >>> per_tensor(np.array([[1.0, -3.0], [2.0, 0.5]])).unit
        array([[3.]])
    """
    return Grid(np.abs(leaf).max(keepdims=True, initial=0.0), 1)


def per_channel(leaf: np.ndarray) -> Grid:
    """One unit a channel, which is an index of the last axis (an output of an affine layer); a vector is one channel.

    Example:
        >>> per_channel(np.array([[1.0, -3.0], [2.0, 0.5]])).unit
        array([[2., 3.]])
    """
    if leaf.ndim < 2:
        return per_tensor(leaf)
    return Grid(np.abs(leaf).max(axis=tuple(range(leaf.ndim - 1)), keepdims=True, initial=0.0), leaf.shape[-1])


def per_row_and_column(leaf: np.ndarray) -> Grid:
    """One unit a row times one a column of the last two axes; vectors are kept as they are.

    The scales are those with ``log |w_ij| ≈ log r_i + log c_j`` by least squares over what is not zero, improved by a
    few sweeps towards equal root mean squares of rows and of columns [sinkhorn1967]; the largest absolute value of what
    they leave is absorbed. They exist for any matrix, and what they leave does not change when a row or a column of the
    matrix is multiplied by a positive number.

    Example:
        >>> grid = per_row_and_column(np.outer([1.0, 10.0], [1.0, -1000.0]))
        >>> np.round(np.outer([1.0, 10.0], [1.0, -1000.0]) / grid.unit, 6)
        array([[ 1., -1.],
               [ 1., -1.]])
    """
    if leaf.ndim < 2:
        return Grid(None, leaf.size)
    squares = np.square(leaf, dtype=np.float64).reshape(-1, *leaf.shape[-2:]).mean(axis=0)
    unit = np.sqrt(_balancing(squares))
    return Grid(unit * np.abs(leaf / unit).max(initial=0.0), sum(squares.shape))


def _balancing(squares: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """``r_i c_j``, by least squares of logarithms and a few sweeps from there; 1 for rows and columns of zeros."""
    used = squares > 0
    logarithms = np.log(squares, where=used, out=np.zeros_like(squares))
    counts = [np.maximum(used.sum(axis=axis), 1) for axis in (1, 0)]
    columns = np.zeros(squares.shape[1])
    for _ in range(_SWEEPS):
        rows = np.where(used, logarithms - columns, 0).sum(axis=1) / counts[0]
        before, columns = columns, np.where(used, logarithms - rows[:, None], 0).sum(axis=0) / counts[1]
        if np.abs(columns - before).max(initial=0.0) < _BALANCED:
            break
    unit: np.ndarray = np.exp(rows[:, None] + columns)
    for _ in range(_IMPROVED):
        unit = unit * _mean(squares / unit, used, 1)
        unit = unit * _mean(squares / unit, used, 0)
    return unit


def _mean(
    values: Float[np.ndarray, "rows columns"], used: Bool[np.ndarray, "rows columns"], axis: int
) -> Float[np.ndarray, "_ _"]:
    """Means along rows or columns that are not all zero, over the others that are not; 1 for those that are."""
    across = used.any(axis=1 - axis)
    mean = values.sum(axis=axis, keepdims=True) / max(1, across.sum())
    return np.where(mean > 0, mean, 1.0)


GRIDS = {"tensor": per_tensor, "channel": per_channel, "row_column": per_row_and_column}


def make_grids(leaves: list[Any], scales: str) -> list[Grid]:
    """The grid of every tensor.

    Raises:
        UnknownNameError: If ``scales`` is none of ``GRIDS``.
    """
    if scales not in GRIDS:
        raise UnknownNameError("scales", scales, GRIDS)
    return [GRIDS[scales](np.asarray(leaf)) for leaf in leaves]


def codes(leaf: Any, unit: Any, width: Any, noise: Any) -> Any:
    """Integer codes ``⌊w K / u + noise⌋``: noise ½ rounds to nearest, uniform noise in [0, 1) without bias.

    Example:
        >>> [float(k) for k in codes(jnp.array([-1.0, 0.2, 0.9]), 1.0, 3, 0.5)]
        [-3.0, 1.0, 3.0]
    """
    top = largest_code(width, leaf.dtype)
    return jnp.clip(jnp.floor(leaf / jnp.where(unit > 0, unit, 1) * top + noise), -top, top)


def decoded(code: Any, unit: Any, width: Any) -> Any:
    """The numbers ``u k / K`` that codes stand for.

    Example:
        >>> [float(w) for w in decoded(jnp.array([-3.0, 1.0]), 6.0, 3)]
        [-6.0, 2.0]
    """
    return code * (unit / jnp.maximum(largest_code(width, code.dtype), 1))


def largest_code(width: Any, dtype: Any) -> Any:
    """``K = 2^{b−1} − 1``, and 0 for no bits."""
    return (jnp.left_shift(1, jnp.maximum(width, 1) - 1) - 1).astype(dtype)
