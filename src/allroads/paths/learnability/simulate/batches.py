"""Targets that are simulated a batch at a time, while the budget lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from allroads.budget import Budget
from allroads.paths.learnability.law.pilot_runs import evenly_spaced
from allroads.paths.learnability.simulate.residual_spectrum import TARGET_BATCH
from allroads.paths.learnability.simulate.target_simulation import TargetSimulation

Pairs = NDArray[np.int_]
"""Indices of targets and numbers of their starts, ``[B, 2]``."""


def in_batches(order: Iterable[int], seeds: int) -> list[Pairs]:
    """Every target with each of its starts, a batch at a time.

    Example:
        >>> [batch.tolist() for batch in in_batches([4, 2], 2)]
        [[[4, 0], [4, 1], [2, 0], [2, 1]]]
    """
    pairs = np.array([(k, m) for k in order for m in range(seeds)], int).reshape(-1, 2)
    return [pairs[begin : begin + TARGET_BATCH] for begin in range(0, len(pairs), TARGET_BATCH)]


def spread_order(expected: NDArray[np.float64], count: int) -> list[int]:
    """So many targets, in an order whose first 1, 3, 7, … are spaced evenly over the expected steps.

    Example:
        >>> spread_order(np.arange(10.0), 10)
        [5, 2, 7, 0, 3, 6, 9, 1, 4, 8]
        >>> spread_order(np.arange(10.0), 2)
        [7, 2]
    """
    left, order, size = np.array(evenly_spaced(expected, count), int), [], 1
    while left.size:
        chosen = left[evenly_spaced(expected[left], size)]
        order += chosen.tolist()
        left, size = np.setdiff1d(left, chosen), 2 * size
    return order


def simulate_batches(
    simulate: Callable[[Pairs], list[TargetSimulation]], batches: list[Pairs], budget: Budget, first: float
) -> dict[int, list[TargetSimulation]]:
    """Simulations of every target by its index, from as many starts as there was time for.

    A batch is begun where the budget lasts for one as long as the last.

    Args:
        simulate: Of one batch.
        batches: What is simulated, in its turn.
        budget: The budget.
        first: Seconds that the first batch may take.
    """
    found: dict[int, list[TargetSimulation]] = {}
    longest = first
    for number, batch in enumerate(batches):
        began = budget.spent
        if budget.ended or budget.left < longest:
            break
        budget.say(f"simulating batch {number + 1} of {len(batches)}")
        with budget.interruptible():
            for (k, _), one in zip(batch, simulate(batch), strict=True):
                found.setdefault(int(k), []).append(one)
        longest = budget.spent - began
    return found
