"""Detailed balance: whether moves lead from each program to each other as often as back."""

from __future__ import annotations

import numpy as np

from allroads.results import Measurement
from allroads.status import AtlasStatus

DRAWS = 9999
"""Tables that are drawn under the null."""


def detailed_balance(before: np.ndarray, after: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Measurement:
    """The probability of flows between programs that differ as much as those seen, if f_p φ(q|p) = f_q φ(p|q).

    The statistic is Bowker's, ``Σ_{p<q} (F_pq − F_qp)² / (F_pq + F_qp)``, of independent moves, one per start. Under
    the null each move between p and q has either direction with probability ½. The law of the statistic given the sums
    is drawn, so that the test holds with any number of moves.

    Args:
        before: The number of the program of each start ``[n]``.
        after: The number of the program after its move ``[n]``.
        seed: Decides the draws.
        draws: How many tables are drawn; the smallest probability is 1 / (draws + 1).

    Returns:
        A :class:`~allroads.Measurement`: the p-value. ``stats`` holds ``statistic``, ``pairs`` and ``changes``. Without
        a change it is 1, and the status ``too few changes``.

    References: [bowker1948]

    Example:
        A hundred moves in one direction, none in the other:

        >>> detailed_balance(np.zeros(100, int), np.ones(100, int)).value
        0.0001
        >>> detailed_balance(np.array([0, 1]), np.array([1, 0])).value
        1.0
    """
    changed = before != after
    one, other = np.minimum(before, after)[changed], np.maximum(before, after)[changed]
    if not len(one):
        return Measurement(1.0, None, AtlasStatus.TOO_FEW, {"statistic": 0.0, "pairs": 0, "changes": 0})
    size = int(max(before.max(), after.max())) + 1
    codes, place = np.unique(one.astype(np.int64) * size + other, return_inverse=True)
    total = np.bincount(place)
    forth = np.bincount(place, (before < after)[changed])
    statistic = float(((2 * forth - total) ** 2 / total).sum())
    generator, reached = np.random.default_rng(seed), 0
    block = max(1, 2**20 // len(total))
    for low in range(0, draws, block):
        drawn = generator.binomial(total, 0.5, (min(block, draws - low), len(total)))
        reached += int((((2 * drawn - total) ** 2 / total).sum(1) >= statistic * (1 - 1e-12)).sum())
    stats = {"statistic": statistic, "pairs": len(codes), "changes": int(total.sum())}
    return Measurement((reached + 1) / (draws + 1), None, AtlasStatus.OK, stats)
