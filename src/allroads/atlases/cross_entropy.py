"""The cross-entropy method: a search by draws from a normal law that moves to the best of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ELITE = 0.25
"""Share of the candidates of one round that the next law is fitted to."""
KEPT = 0.3
"""Weight of the law before."""
LEAST_SPREAD = 0.2


def cross_entropy_search(
    score: Callable[[np.ndarray], float | None],
    size: int,
    *,
    rounds: int,
    candidates: int,
    spread: float,
    seed: int,
) -> np.ndarray:
    """The mean of the last law in a search for the greatest score.

    Args:
        score: Of a vector ``[size]``; may be noisy. ``None`` ends the search: the law is then fitted once more, where
            enough vectors of the round have a score.
        size: Coordinates.
        rounds: How often the law is fitted anew.
        candidates: Draws per round.
        spread: Standard deviation of every coordinate in the first round; the mean is 0.
        seed: Decides the draws.

    References: [rubinstein1999]

    Example:
        >>> best = cross_entropy_search(lambda x: -((x - 2) ** 2).sum(), 3, rounds=12, candidates=64, spread=2, seed=0)
        >>> bool(abs(best - 2).max() < 0.2)
        True
    """
    rng = np.random.default_rng(seed)
    mean, deviation = np.zeros(size), np.full(size, float(spread))
    elite = max(2, round(ELITE * candidates))
    for _ in range(rounds):
        drawn = mean + deviation * rng.normal(size=(candidates, size))
        scores = list[float]()
        for candidate in drawn:
            found = score(candidate)
            if found is None:
                break
            scores.append(found)
        if len(scores) < elite:
            break
        best = drawn[np.argsort(-np.array(scores), kind="stable")[:elite]]
        mean = KEPT * mean + (1 - KEPT) * best.mean(axis=0)
        deviation = np.maximum(KEPT * deviation + (1 - KEPT) * best.std(axis=0), LEAST_SPREAD)
        if len(scores) < candidates:
            break
    return mean
