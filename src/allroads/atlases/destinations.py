"""Where changes lead: weights of destinations, and shares given the node that is left, smoothed towards them."""

from __future__ import annotations

import numpy as np

ROUNDS = 500
CLOSE = 1e-10
APART_CLOSE = 1e-6


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


def apart_weights(
    arrivals: np.ndarray, departures: np.ndarray, apart: np.ndarray, steps: np.ndarray, pseudo: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights b and factors g of a gravity model: a change that leaves p leads to q in proportion to ``b_q g[d_pq]``.

    Here ``d_pq`` is the class of the distance of p and q, and each class has a factor of its own. With one class this
    is the model of :func:`destination_weights`. It is log-linear, and iterative proportional fitting finds the weights
    and factors of greatest likelihood.

    Args:
        arrivals: How many changes lead to each node ``[K]``, above 0; pseudo-counts may be part of them.
        departures: How many leave each ``[K]``.
        apart: Class of the distance of two nodes ``[K, K]``, whole numbers below D.
        steps: How many changes go over each class ``[D]``, above 0, with its pseudo-count.
        pseudo: Pseudo-count of a class, which draws its factor towards 1.

    Returns:
        b ``[K]``, adding up to 1, and g ``[D]``.

    References: [deming1940]

    Example:
        Four places on a circle. Changes lead to a neighbour four times as often as across, whatever the place:

        >>> apart = np.array([[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0]])
        >>> b, g = apart_weights(np.full(4, 90.0), np.full(4, 90.0), apart, np.array([1e-9, 320.0, 40.0]), 1e-9)
        >>> b.round(3).tolist(), round(float(g[1] / g[2]), 3)
        ([0.25, 0.25, 0.25, 0.25], 4.0)
    """
    left = np.flatnonzero(departures)
    classes = apart[left]
    inside = np.ones(classes.shape)
    inside[np.arange(len(left)), left] = 0.0
    weights, factors = arrivals / arrivals.sum(), np.ones(len(steps))
    extra = max(float(arrivals.sum() - departures.sum()), 0.0)
    flat = classes.ravel()
    for _ in range(ROUNDS):
        reach = inside * factors[classes]
        rates = departures[left] / np.maximum(reach @ weights, 1e-300)
        after = arrivals / np.maximum(rates @ reach + extra, 1e-300)
        after /= after.sum()
        rates = departures[left] / np.maximum(reach @ after, 1e-300)
        expected = np.bincount(flat, (rates[:, None] * inside * after).ravel(), len(steps))
        changed = steps / (expected + pseudo)
        moved = max(float(np.abs(after - weights).max()), float(np.abs(np.log(changed / factors)).max()))
        weights, factors = after, changed
        if moved < APART_CLOSE:
            break
    return weights, factors
