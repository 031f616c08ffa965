"""Uncertainty of a measure over inputs: blocks of inputs are left out in turn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from allroads.budget import Budget
from allroads.paths.convergence.comparison import Comparison

BLOCKS = 20
"""Blocks, about; a block has an even number of inputs, so that even places stay even."""


def block_length(inputs: int) -> int:
    """Inputs in a block.

    Example:
        >>> block_length(128), block_length(10)
        (8, 2)
    """
    return 2 * max(1, -(-inputs // (2 * BLOCKS)))


def input_errors(
    comparison: Comparison,
    left: Sequence[np.ndarray],
    right: Sequence[np.ndarray],
    pairs: Sequence[tuple[int, int]],
    clock: Budget,
    until: float = math.inf,
) -> np.ndarray:
    """Half-widths of the 95 % intervals of a measure of pairs, for inputs drawn from a larger set, ``[pairs]``.

    Inputs are left out in blocks, the measure is taken anew without each, and the spread of these values gives the
    standard error. The interval takes Student's distribution for the number of blocks less one.

    Args:
        comparison: The measure.
        left: Representations ``[n, d]``, their inputs in random order.
        right: Representations of the same inputs; may be the same list.
        pairs: Indices into both.
        clock: The budget of the call.
        until: Seconds of it after which no further block is left out.

    Returns:
        Infinite where the budget ended first, there are fewer than three blocks, or a representation is constant
        without one of them.

    When it fails: at the ends of a measure's range it is too narrow; for equal representations it is 0.

    References:
        [efron1981]
    """
    inputs = len(left[0])
    length = block_length(inputs)
    blocks = inputs // length
    if blocks < 3 or inputs - length < comparison.least:
        return np.full(len(pairs), np.inf)
    found = np.empty((blocks, len(pairs)))
    for block in range(blocks):
        if clock.ended or clock.spent >= until:
            return np.full(len(pairs), np.inf)
        clock.say(f"{comparison.name}, intervals, block {block + 1} of {blocks}")
        kept = np.r_[: block * length, (block + 1) * length : inputs]
        first = {a: comparison.prepare(left[a][kept]) for a in sorted({a for a, _ in pairs})}
        if right is left:
            second = first | {b: comparison.prepare(left[b][kept]) for b in sorted({b for _, b in pairs} - set(first))}
        else:
            second = {b: comparison.prepare(right[b][kept]) for b in sorted({b for _, b in pairs})}
        found[block] = [comparison.value(first[a], second[b]) for a, b in pairs]
    spread = ((found - found.mean(axis=0)) ** 2).sum(axis=0) * (inputs - length) / (blocks * length)
    errors: np.ndarray = student.ppf(0.975, blocks - 1) * np.sqrt(spread)
    return np.where(np.isnan(errors), np.inf, errors)
