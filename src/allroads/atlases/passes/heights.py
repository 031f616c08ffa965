"""Pass heights: the least level below which two nodes of a graph are joined."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from allroads.errors import InputError

ROUNDING = 1e-6
"""Share of the largest number by which an edge may lie below its ends and still count as rounding."""


def pass_heights(edges: Any, energies: Any | None = None) -> np.ndarray:
    """Pass heights ``B(p, q) = min over paths from p to q of the largest edge on the path`` of a graph, ``[N, N]``.

    The least path runs along a minimum spanning tree. B is an ultrametric: ``B(p, r) ≤ max(B(p, q), B(q, r))``.
    The barrier from p to q is ``B(p, q) − energies[p]``.

    Args:
        edges: ``[N, N]``: the highest value on the way from row to column, such as the loss at a saddle. NaN or +inf
            where there is no way. A way can be gone in both directions: the lower of the two entries counts. The
            diagonal is not read.
        energies: The value at each node, ``[N]``, in the same unit; default NaN.

    Returns:
        ``[N, N]``, symmetric, +inf between nodes that no path joins; on the diagonal the energies.

    Raises:
        InputError: If shapes do not fit, or an edge lies below one of its ends.

    References:
        [wales1998], [gower1969]

    Example:
        A direct edge of 5, and a detour over two edges of 2 and 3:

        >>> pass_heights([[0, 5, 2], [5, 0, 3], [2, 3, 0]], energies=[0, 0, 1])
        array([[0., 3., 2.],
               [3., 0., 3.],
               [2., 3., 1.]])
    """
    heights, own = checked_graph(edges, energies)
    found = np.full(heights.shape, np.inf)
    np.fill_diagonal(found, own)
    members: dict[int, list[int]] = {node: [node] for node in range(len(own))}
    home = list(range(len(own)))
    for edge in spanning_edges(heights):
        left, right = home[edge.source], home[edge.target]
        here, there = members[left], members.pop(right)
        found[np.ix_(here, there)] = edge.height
        found[np.ix_(there, here)] = edge.height
        for node in there:
            home[node] = left
        here += there
    return found


class Edge(NamedTuple):
    """An edge of a spanning tree.

    Attributes:
        source: One node, the lower number.
        target: The other.
        height: Its value.
    """

    source: int
    target: int
    height: float


def spanning_edges(heights: np.ndarray) -> list[Edge]:
    """The edges of a minimum spanning forest, lowest first.

    SciPy takes an entry of 0 for a missing edge, so the tree is grown on ranks from 1, which have the same order.

    Args:
        heights: ``[N, N]`` symmetric, +inf where there is no edge.
    """
    rows, columns = np.nonzero(np.triu(np.isfinite(heights), 1))
    values, ranks = np.unique(heights[rows, columns], return_inverse=True)
    graph = csr_array((ranks.ravel() + 1.0, (rows, columns)), shape=heights.shape)
    tree = minimum_spanning_tree(graph).tocoo()
    found = [
        Edge(min(i, j), max(i, j), float(values[int(rank) - 1]))
        for i, j, rank in zip(tree.row.tolist(), tree.col.tolist(), tree.data.tolist(), strict=True)
    ]
    return sorted(found, key=lambda edge: (edge.height, edge.source, edge.target))


def checked_graph(edges: Any, energies: Any | None) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric heights ``[N, N]``, +inf where there is no edge and on the diagonal, and energies ``[N]``.

    Raises:
        InputError: As :func:`pass_heights`.
    """
    try:
        given = np.asarray(edges, np.float64)
        own = np.full(len(given), np.nan) if energies is None else np.asarray(energies, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"edges, energies: expected numbers [N, N] and [N] ({error}).") from error
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not len(given):
        raise InputError(f"edges: expected a square matrix [N, N] with N ≥ 1; got shape {given.shape}.")
    if own.shape != (len(given),):
        raise InputError(f"energies: expected one per node, ({len(given)},); got shape {own.shape}.")
    if energies is not None and not np.isfinite(own).all():
        raise InputError(f"energies: node {int(np.argmin(np.isfinite(own)))} has no finite energy; leave it out.")
    if np.isneginf(given).any():
        raise InputError("edges: −inf is no height; write NaN or +inf where there is no edge.")
    heights = np.where(np.isnan(given), np.inf, given)
    heights = np.minimum(heights, heights.T)
    np.fill_diagonal(heights, np.inf)
    floor = np.maximum(own[:, None], own[None, :])
    finite = np.isfinite(heights)
    slack = ROUNDING * max(np.abs(heights[finite]).max(initial=0.0), np.abs(own).max(initial=0.0))
    below = np.argwhere(finite & (heights < floor - slack))
    if len(below):
        p, q = below[0]
        raise InputError(
            f"edges: the way from node {p} to node {q} is {heights[p, q]:g} high, and its higher end {floor[p, q]:g}. "
            "A path contains its ends: give the highest value on the whole path, not the barrier above an end."
        )
    return np.where(finite, np.fmax(heights, floor), np.inf), own
