"""Where changes lead: weights of destinations, and shares given the node that is left, smoothed towards them."""

from __future__ import annotations

import numpy as np

ROUNDS = 500
CLOSE = 1e-10


def destination_weights(arrivals: np.ndarray, departures: np.ndarray) -> np.ndarray:
    """Weights b of quasi-independence: a change that leaves p leads to q ≠ p with probability ``b_q / (1 − b_p)``.

    No change leads to the node that it leaves. So marginal frequencies alone mean that p says nothing about q but that
    q ≠ p. The weights are those of greatest likelihood, by the iteration of Hunter (2004), which climbs.

    Args:
        arrivals: How many changes lead to each node ``[K]``, above 0; pseudo-counts may be part of them.
        departures: How many leave each ``[K]``.

    Returns:
        ``[K]``, adding up to 1.

    References: [goodman1968, hunter2004]

    Example:
        Labels that are drawn independently, the second twice as often, with repetitions left out:

        >>> share = np.array([0.25, 0.5, 0.25])
        >>> left = share * (1 - share)
        >>> table = left[:, None] * share / (1 - share)[:, None] * (1 - np.eye(3))
        >>> destination_weights(table.sum(axis=0), table.sum(axis=1)).round(6).tolist()
        [0.25, 0.5, 0.25]
    """
    weights: np.ndarray = arrivals / arrivals.sum()
    for _ in range(ROUNDS):
        rates = departures / np.maximum(1 - weights, 1e-12)
        after: np.ndarray = arrivals / np.maximum(arrivals.sum() - departures.sum() + rates.sum() - rates, 1e-12)
        after /= after.sum()
        if np.abs(after - weights).max() < CLOSE:
            return after
        weights = after
    return weights
