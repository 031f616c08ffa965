"""The permutation null of pairs of representations: what they give when the inputs of one are shuffled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from allroads.budget import Budget
from allroads.paths.convergence.comparison import Comparison

ROUNDING = 1e-9
"""A permutation reaches the observed value where it is this close to it, relative to its size and to 1."""

PERMUTATIONS = 199
"""Permutations at least, where no number is given."""


class Null(NamedTuple):
    """What permutations gave for each pair.

    Attributes:
        mean: Mean of the measure.
        deviation: Standard deviation.
        p: Share of the permutations, the observed order counted as one, that are as near or nearer.
        permutations: How many there were.
    """

    mean: np.ndarray
    deviation: np.ndarray
    p: np.ndarray
    permutations: int


def enough_permutations(pairs: int, level: float) -> int:
    """The least number with which Holm's correction of so many pairs can still find one, and at least 199.

    Example:
        >>> enough_permutations(1, 0.05), enough_permutations(120, 0.05)
        (199, 2400)
    """
    return max(PERMUTATIONS, int(np.ceil(pairs / level)))


def permutation_null(
    comparison: Comparison,
    left: Mapping[int, Any],
    right: Mapping[int, Any],
    pairs: Sequence[tuple[int, int]],
    observed: np.ndarray,
    inputs: int,
    permutations: int,
    rng: np.random.Generator,
    clock: Budget,
    until: float = math.inf,
) -> Null:
    """Null means, deviations and p-values ``(1 + as near) / (1 + permutations)`` of pairs.

    One order of the inputs serves all pairs. The p-value of a pair is at most α with probability at most α, where the
    inputs of the second representation are exchangeable given the first. This holds for any number of permutations
    that does not depend on what they gave, also one that a budget ended.

    Args:
        comparison: The measure.
        left: Prepared representations by their index.
        right: The same of the second ones, which are shuffled.
        pairs: Indices into both.
        observed: The measure of each pair, ``[pairs]``.
        inputs: Number of inputs n.
        permutations: How many.
        rng: Draws the orders.
        clock: The budget of the call; it ends the permutations early.
        until: Seconds of it after which no further one begins.

    References:
        [phipson2010]
    """
    by_second: dict[int, list[tuple[int, int]]] = {}
    for place, (first, second) in enumerate(pairs):
        by_second.setdefault(second, []).append((place, first))
    total, squares, nearer = (np.zeros(len(pairs)) for _ in range(3))
    allowed = ROUNDING * np.maximum(1.0, np.abs(observed))
    done = 0
    while done < permutations and clock.ended is None and clock.spent < until:
        clock.say(f"{comparison.name}, permutation {done + 1:,} of {permutations:,}")
        order, change = rng.permutation(inputs), np.zeros(len(pairs))
        with clock.interruptible():
            for second, firsts in by_second.items():
                moved = comparison.reorder(right[second], order)
                for place, first in firsts:
                    change[place] = comparison.value(left[first], moved) - observed[place]
        if not clock.interrupted:
            total, squares = total + change, squares + change**2
            nearer += comparison.nearer * change >= -allowed
            done += 1
    counted = max(done, 1)
    shift = total / counted if done else np.full(len(pairs), np.nan)
    deviation = np.sqrt(np.maximum(squares / counted - shift**2, 0.0))
    return Null(observed + shift, deviation, (1 + nearer) / (1 + done), done)
