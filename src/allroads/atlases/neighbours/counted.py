"""Neighbour shares from the programs before and after moves, with intervals by independent starts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from allroads.atlases.neighbours.balance import detailed_balance
from allroads.atlases.neighbours.neighbours import Neighbours
from allroads.distributions import clustered_interval, collision
from allroads.results import Measurement
from allroads.status import AtlasStatus

UNLIKELY = 1e-3
"""Probability of the flows below which moves are called not reversible."""


def counted(
    programs: tuple[Hashable, ...], before: np.ndarray, after: np.ndarray, seed: int, stats: Mapping[str, Any]
) -> Neighbours:
    """Shares from the programs of n independent starts and of m moves from each.

    Args:
        programs: Labels, by number; those that are not met are left out.
        before: The number of the program of each start ``[n]``.
        after: The numbers of the programs after its moves ``[n, m]``.
        seed: Decides the draws of the test of balance.
        stats: Handed on; ``exact`` is ``False``.

    Example:
        >>> before, after = np.array([0, 0, 1, 1]), np.array([[0], [1], [1], [0]])
        >>> counted(("a", "b"), before, after, 0, {"exact": False}).share.tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    starts, moves = after.shape
    first = np.bincount(before, minlength=len(programs))
    met = first + np.bincount(after.ravel(), minlength=len(programs))
    order = np.lexsort((-met, -first))[: int((met > 0).sum())]
    rank = np.zeros(len(programs), np.int64)
    rank[order] = np.arange(len(order))
    before, after, size = rank[before], rank[after], len(order)
    count = first[order]
    source, target, hits, squares = _pairs(before, after, size)
    low, high = clustered_interval(hits, squares, count[source], moves)
    flow_low, flow_high = clustered_interval(hits, squares, np.full(len(hits), starts), moves)
    flow = hits / (starts * moves)
    kept = (after == before[:, None]).sum(1)
    mean = float(kept.mean() / moves)
    ends = clustered_interval(kept.sum(), (kept**2).sum(), starts, moves)
    below, above = (float(end) for end in ends)
    same = collision(count[count > 0])
    balance = detailed_balance(before, after[:, 0], seed)
    null = Measurement(same.value, same.error, AtlasStatus.OK if same.status.sound else AtlasStatus.TOO_FEW, same.stats)
    return Neighbours(
        tuple(programs[place] for place in order), count / starts, count, source, target,
        hits / (count[source] * moves), low, high, flow, flow_low, flow_high, count * moves,
        Measurement(mean, max(mean - below, above - mean), AtlasStatus.OK, {"low": below, "high": above}),
        null, balance, _status(size, null, balance), stats,
    )  # fmt: skip


def _pairs(before: np.ndarray, after: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Pairs of programs in order: from, to, moves, and the sum over starts of the squares of their moves."""
    starts = len(after)
    own = np.sort(np.arange(starts)[:, None] * size + after, axis=None)
    codes, times = np.unique(own, return_counts=True)
    pair = before[codes // size] * size + codes % size
    pairs, place = np.unique(pair, return_inverse=True)
    hits = np.bincount(place, times)
    return pairs // size, pairs % size, hits, np.bincount(place, times**2)


def _status(size: int, null: Measurement, balance: Measurement) -> AtlasStatus:
    if size == 1:
        return AtlasStatus.ONE_PROGRAM
    if not null.status.sound:
        return AtlasStatus.TOO_FEW
    return AtlasStatus.NOT_REVERSIBLE if balance.value < UNLIKELY else AtlasStatus.OK
