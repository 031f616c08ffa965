"""Shapley shares of the factors in a quantity that is known for every set of factors, and its interactions."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from allroads.studies.attribution.information import subsets


def shapley(values: Float[np.ndarray, "batch sets"], factors: int) -> Float[np.ndarray, "batch factors"]:
    """What each factor adds, averaged over all orders in which the factors can be taken into account.

    Args:
        values: For every set of factors, ``[batch, sets]`` in the order of ``subsets(factors)``; the empty set has 0.
        factors: How many there are.

    Returns:
        ``[batch, factors]``; they sum to the value of the set of all.

    References:
        [shapley1953]

    Example:
        >>> xor = np.array([[0.0, 0.0, 0.0, 1.0]])
        >>> shapley(xor, 2).tolist()
        [[0.5, 0.5]]
    """
    place = {chosen: index for index, chosen in enumerate(subsets(factors))}
    found = np.zeros((len(values), factors))
    for chosen, index in place.items():
        size = len(chosen)
        for factor in set(range(factors)) - set(chosen):
            weight = math.factorial(size) * math.factorial(factors - size - 1) / math.factorial(factors)
            found[:, factor] += weight * (values[:, place[tuple(sorted((*chosen, factor)))]] - values[:, index])
    return found


def dividends(values: Float[np.ndarray, "batch sets"], factors: int) -> Float[np.ndarray, "batch sets"]:
    """What each set of factors adds beyond all sets within it, ``[batch, sets]``; they sum to the value of all.

    Args:
        values: As for :func:`shapley`.
        factors: How many there are.

    References:
        [harsanyi1963]

    Example:
        >>> dividends(np.array([[0.0, 0.25, 0.5, 1.0]]), 2).tolist()
        [[0.0, 0.25, 0.5, 0.25]]
    """
    sets = subsets(factors)
    found = np.zeros_like(values)
    for index, chosen in enumerate(sets):
        below = [place for place, other in enumerate(sets) if place != index and set(other) < set(chosen)]
        found[:, index] = values[:, index] - found[:, below].sum(axis=1)
    return found
