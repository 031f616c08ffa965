"""Targets that are simulated a batch at a time, while the budget lasts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from allroads.budget import Budget
from allroads.paths.learnability.law.pilot_runs import evenly_spaced
from allroads.paths.learnability.simulate.residual_spectrum import TARGET_BATCH
from allroads.paths.learnability.simulate.target_simulation import TargetSimulation

Batch = NDArray[np.int_]
"""Indices of targets."""


def all_batches(count: int) -> list[Batch]:
    """All targets in their order, a batch at a time.

    Example:
        >>> [len(batch) for batch in all_batches(19)]
        [8, 8, 3]
    """
    return [np.arange(begin, min(begin + TARGET_BATCH, count)) for begin in range(0, count, TARGET_BATCH)]


def spread_batches(expected: NDArray[np.float64], count: int) -> list[Batch]:
    """So many targets in batches of which each is spaced evenly over the expected order of those still left.

    Example:
        >>> [batch.tolist() for batch in spread_batches(np.arange(10.0), 10)]
        [[0, 1, 3, 4, 5, 6, 8, 9], [2, 7]]
        >>> [batch.tolist() for batch in spread_batches(np.arange(10.0), 2)]
        [[2, 7]]
    """
    left, batches = np.array(evenly_spaced(expected, count), int), []
    while left.size:
        chosen = np.sort(left[evenly_spaced(expected[left], TARGET_BATCH)])
        left = np.setdiff1d(left, chosen)
        batches.append(chosen)
    return batches


def simulate_batches(
    simulate: Callable[[Batch, int], list[TargetSimulation]],
    batches: list[Batch],
    seeds: int,
    budget: Budget,
    first: float,
) -> dict[int, list[TargetSimulation]]:
    """Simulations of every target by its index, from as many starts as there was time for.

    A simulation is begun where the budget lasts for one as long as the last.

    Args:
        simulate: ``simulate(batch, start number)``.
        batches: Which targets, in their turn.
        seeds: Number of starts.
        budget: The budget.
        first: Seconds that the first simulation may take.
    """
    found: dict[int, list[TargetSimulation]] = {}
    longest = first
    for number, batch in enumerate(batches):
        for m in range(seeds):
            began = budget.spent
            if budget.ended or budget.left < longest:
                return found
            budget.say(f"simulating batch {number + 1} of {len(batches)}, start {m + 1} of {seeds}")
            with budget.interruptible():
                for k, one in zip(batch, simulate(batch, m), strict=True):
                    found.setdefault(int(k), []).append(one)
            longest = budget.spent - began
    return found
