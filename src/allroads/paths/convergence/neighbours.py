"""Mutual nearest neighbours: the share of neighbours that two representations have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.paths.convergence.cka import reordered
from allroads.paths.convergence.comparison import LEAST, Comparison, checked_pair

TIED = 1e-6
"""Cosines that differ by no more than this are equal."""


class Neighbourhoods(NamedTuple):
    """Who is whose neighbour.

    Attributes:
        weights: ``[n, n]``: how much of a neighbour of input i input j is; a row sums to k.
        places: Where they are not 0, in the flat matrix.
        held: What they are there.
    """

    weights: np.ndarray
    places: np.ndarray
    held: np.ndarray


def mutual_neighbours(x: Any, y: Any, *, k: int = 10) -> float:
    """Share of the k nearest neighbours of an input that two representations have in common, mean over inputs.

    Nearness is the cosine of rows: rows are scaled to norm 1 and are not centred. For unrelated representations the
    mean over permutations is exactly ``k / (n − 1)`` where no cosines are equal. Where several inputs are equally near
    and not all fit among the k, each has an equal part of the places left, and inputs share the smaller part.

    Args:
        x: Representation ``[n, d]`` of n inputs.
        y: Representation ``[n, e]`` of the same inputs.
        k: Neighbours of an input, below n; default 10.

    Returns:
        From 0 to 1.

    Raises:
        InputError: If the matrices are no representations of the same four or more inputs, or k is not from 1 to n − 1.

    When it fails: with one unit all cosines are 1 or −1, so the neighbours are decided by signs alone.

    References:
        [huh2024]

    Example:
        >>> x = np.random.default_rng(0).normal(size=(30, 3))
        >>> mutual_neighbours(x, 5 * x[:, [2, 0, 1]], k=3)
        1.0
    """
    first, _ = checked_pair(x, y)
    check_neighbours(k, len(first))
    return neighbours(k).between(x, y)


def check_neighbours(k: int, n: int) -> None:
    """Refuse a number of neighbours that n inputs do not have.

    Raises:
        InputError: Naming k and n.
    """
    check_count("k", k)
    if k >= n:
        raise InputError(f"k: an input has {n - 1} neighbours among {n} inputs; got k = {k}. Lower k or add inputs.")


def neighbours(k: int) -> Comparison:
    """The shared neighbours as a comparison."""
    return Comparison("neighbours", 1, lambda x: _prepare(x, k), _reorder, _value, least=max(LEAST, k + 1))


def _prepare(x: np.ndarray, k: int) -> Neighbourhoods:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    rows = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -np.inf)
    last = np.partition(cosines, len(x) - k, axis=1)[:, len(x) - k, None]
    certain, tied = cosines > last + TIED, np.abs(cosines - last) <= TIED
    left = k - certain.sum(axis=1, keepdims=True)
    weights = certain + tied * (left / tied.sum(axis=1, keepdims=True))
    places = np.flatnonzero(weights)
    return Neighbourhoods(weights, places, weights.ravel()[places])


def _reorder(found: Neighbourhoods, order: np.ndarray) -> Neighbourhoods:
    return found._replace(weights=reordered(found.weights, order))


def _value(a: Neighbourhoods, b: Neighbourhoods) -> float:
    shared = np.minimum(a.held, b.weights.ravel()[a.places]).sum()
    return float(shared / a.held.sum())
