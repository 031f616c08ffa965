"""Where a noisy curve changes its course: penalised least squares, solved exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allroads.checks import check_choice
from allroads.errors import InputError


class Shape(NamedTuple):
    """What a stage looks like: how many numbers describe it, and the fewest points that it may have."""

    numbers: int
    least: int


SHAPES = {"constant": Shape(1, 2), "linear": Shape(2, 3)}
NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal number."""


def change_points(values: Any, errors: Any, *, shape: str = "linear") -> np.ndarray:
    """Indices at which new stages begin: the split that minimises ``Σ (y − fit)²/σ² + (p + 2) ln T`` per boundary.

    Each stage is fitted by weighted least squares with p numbers: a level, or a level and a slope along the index. A
    boundary costs what the modified Bayes criterion for Gaussian means charges for one, ``3 ln T`` for p = 1, without
    that criterion's rebate for short stages. The best split is found exactly, by dynamic programming, in O(T²).

    Where neighbours scatter by more than σ says, all σ are scaled up so that the median difference of neighbours (of
    differences, for ``"linear"``) is what noise would make of it. So a few jumps remain jumps and a wiggle is noise.

    Args:
        values: ``[T]``.
        errors: Standard errors σ, ``[T]`` or one number, above 0.
        shape: ``"constant"``: stages are plateaus of two points or more; ``"linear"``: straight lines of three or more.

    Returns:
        Indices of the first points of all stages but the first, in order; empty where one stage is enough.

    Raises:
        InputError: If values are not finite, or an error is not finite and positive.
        UnknownNameError: If there is no such shape.

    When it fails: steps of less than about four points each look like scatter; a smooth bend is cut into lines.

    References: [zhang2007] for the criterion, [jackson2005] for the exact search.

    Example:
        >>> change_points([0, 0, 0, 0, 1, 1, 1, 1, 3, 3, 3, 3], 0.05, shape="constant").tolist()
        [4, 8]
        >>> change_points([0, 0, 0, 0, 0, 1, 2, 3, 4, 5], 0.05).tolist()
        [5]
    """
    check_choice("shape", shape, SHAPES)
    numbers, least = SHAPES[shape]
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(f"values: expected finite numbers in one row; got shape {values.shape}.")
    if errors.shape not in ((), values.shape) or not (np.isfinite(errors) & (errors > 0)).all():
        raise InputError(f"errors: expected one standard error, or {values.shape[0]}, finite and above 0.")
    count = len(values)
    if count < 2 * least:
        return np.zeros(0, int)
    errors = np.broadcast_to(errors, values.shape)
    errors = errors * max(1.0, excess_scatter(values, errors, numbers))
    penalty = (numbers + 2) * np.log(count)
    misfit = _misfits((values - values.mean()) / errors, 1 / errors, numbers)
    cost, before = np.full(count + 1, np.inf), np.zeros(count + 1, int)
    cost[0] = -penalty
    for end in range(least, count + 1):
        starts = np.arange(end - least + 1)
        costs = cost[starts] + misfit[starts, end - 1] + penalty
        before[end], cost[end] = costs.argmin(), costs.min()
    found: list[int] = []
    at = before[count]
    while at > 0:
        found.append(int(at))
        at = before[at]
    return np.array(found[::-1], int)


def excess_scatter(values: np.ndarray, errors: np.ndarray, order: int) -> float:
    """How many times larger the median difference of first or second order is than noise would make it."""
    weights = {1: (1, 1), 2: (1, 4, 1)}[order]
    variance = np.convolve(errors**2, weights, mode="valid")
    return float(np.median(np.abs(np.diff(values, order)) / np.sqrt(variance)) / NORMAL_MEDIAN)


def _misfits(targets: np.ndarray, weights: np.ndarray, numbers: int) -> np.ndarray:
    """Least squares ``[first, last]`` of all stretches, of weighted targets on weighted powers of the index."""
    count = len(targets)
    columns = [weights, weights * (np.arange(count) - count / 2)][:numbers]
    result = np.zeros((count, count))
    for first in range(count):
        rest = targets[first:].copy()
        directions: list[np.ndarray] = []
        total = np.cumsum(rest**2)
        # Orthogonal directions of every stretch that begins here; sums up to `last` are cumulative sums.
        for column in columns:
            column = np.broadcast_to(column[first:], (count - first, count - first)).copy()
            column *= np.tri(count - first)
            for direction in directions:
                column -= (column * direction).sum(1, keepdims=True) * direction
            norm = np.linalg.norm(column, axis=1, keepdims=True)
            directions.append(np.where(norm > 1e-12 * weights.max(), column / np.maximum(norm, 1e-300), 0.0))
        explained = sum((direction @ rest) ** 2 for direction in directions)
        result[first, first:] = np.maximum(total - explained, 0.0)
    return result
