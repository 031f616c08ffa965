"""Information between factors and the label that a run reached: a Jensen–Shannon divergence for each set of factors."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float, Int

from allroads.studies.attribution.design import Term


def subsets(factors: int) -> list[Term]:
    """All sets of factors, the empty one first."""
    return [chosen for size in range(factors + 1) for chosen in itertools.combinations(range(factors), size)]


def information(shares: Float[np.ndarray, "batch *cells labels"]) -> Float[np.ndarray, "batch sets"]:
    """I(label; factors of a set) in bits, for every set of factors.

    It is the Jensen–Shannon divergence between the distributions of labels at the combinations of levels of the set,
    each the mean over the cells in it, with equal weights. Shares that were counted give a number that is too large;
    :mod:`allroads.studies.attribution.label_world` corrects it.

    Args:
        shares: Of labels in cells, ``[batch, levels of the first factor, …, of the last, labels]``.

    Returns:
        ``[batch, sets of factors]``, in the order of :func:`subsets`.

    References:
        [lin1991]

    Example:
        >>> same, other = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        >>> [float(v) for v in information(np.stack([same, other])[None])[0]]
        [0.0, 1.0]
    """
    every = subsets(shares.ndim - 2)
    tables, entropies = {every[-1]: shares}, {}
    for chosen in reversed(every):
        table = tables.pop(chosen)
        entropies[chosen] = _entropy(table)
        for axis in chosen:
            less = tuple(other for other in chosen if other != axis)
            if less not in tables:
                tables[less] = table.mean(axis=1 + axis, keepdims=True)
    return np.stack([entropies[()] - entropies[chosen] for chosen in every], axis=1)


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Mean entropy in bits over all axes but the first and the last."""
    held = np.where(shares > 0, shares, 1.0)
    bits = -(held * np.log2(held)).sum(axis=-1)
    mean: np.ndarray = bits.reshape(len(bits), -1).mean(axis=1)
    return mean


def unseen(counts: Int[np.ndarray, "cells labels"]) -> float:
    """Estimated chance that another run of a cell reaches a label that none of the cell's runs has reached.

    It is Good and Turing's estimate, the share of runs whose label is seen once in their cell.

    Args:
        counts: Runs per cell and label, ``[cells, labels]``.

    References:
        [good1953]

    Example:
        >>> unseen(np.array([[4, 1, 0], [5, 0, 0]]))
        0.1
    """
    return float((counts == 1).sum() / counts.sum())
