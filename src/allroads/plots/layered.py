"""A layered layout of a graph: the place from left to right is given, that from top to bottom is found."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

GRAIN = 3.0
"""Pixels between two places that are tried."""
CLEARANCE = 3.0
"""Pixels, at least, between two nodes."""
ASIDE = (0.0, -7.0, 7.0, -14.0, 14.0)
"""Pixels by which a node may stand beside its place, so that it covers no other."""
COST_ASIDE = 2.0
"""Pixels downwards that are as bad as one aside."""
ROUNDS = 5

Vector = np.ndarray
Matrix = np.ndarray


def layered_layout(x: Vector, radius: Vector, weights: Matrix, height: float) -> tuple[Vector, Vector]:
    """Places of nodes in pixels, so that what is joined stands near and no node covers another.

    Connected parts stand below one another. Inside a part, nodes begin in the order of the second eigenvector of the
    graph's Laplacian, and move towards their neighbours; of several rounds the one with the shortest edges is kept.
    Nothing is drawn at random.

    Args:
        x: The place of each node from left to right.
        radius: Of each node. Larger nodes are placed first.
        weights: How strongly two nodes are joined, 0 where they are not; both directions count.
        height: Of the picture.

    Returns:
        Places from left to right, at most 14 pixels beside those given, and from top to bottom.

    When it fails: where a column holds more than its height, nodes cover each other there.

    References:
        [sugiyama1981], [koren2005]

    Example:
        >>> x, y = layered_layout(np.array([0.0, 0.0]), np.array([5.0, 5.0]), np.zeros((2, 2)), 40.0)
        >>> x.tolist(), bool(abs(y[0] - y[1]) >= 10)
        ([0.0, 0.0], True)
    """
    if not len(x):
        return x, x
    both = weights + weights.T
    np.fill_diagonal(both, 0.0)
    wanted = height * (_ranks(both) + 0.5) / len(x)
    total = both.sum(axis=1)
    best, least = (x, wanted), np.inf
    for _ in range(ROUNDS):
        placed, y = _place(x, wanted, radius, height)
        length = float((both * np.hypot(placed[:, None] - placed, y[:, None] - y)).sum())
        if length < least:
            best, least = (placed, y), length
        pulled = np.where(total > 0, both @ y / np.where(total > 0, total, 1.0), y)
        ranks = np.argsort(np.argsort((y + pulled) / 2, kind="stable"), kind="stable")
        wanted = height * (ranks + 0.5) / len(x)
    return best


def _ranks(both: Matrix) -> Vector:
    """The order from top to bottom: part by part, the largest in the middle, and inside a part by its Laplacian."""
    count, part = connected_components(csr_array(both > 0), directed=False)
    sizes = np.bincount(part, minlength=count)
    order: list[int] = []
    for place, which in enumerate(sorted(range(count), key=lambda one: (-sizes[one], one))):
        members = np.flatnonzero(part == which)
        inside = members[np.argsort(_fiedler(both[np.ix_(members, members)]), kind="stable")].tolist()
        order = order + inside if place % 2 else inside + order
    ranks = np.empty(len(both))
    ranks[order] = np.arange(len(both))
    return ranks


def _fiedler(both: Matrix) -> Vector:
    """The second eigenvector of the normalised Laplacian of a connected graph; its first large entry is positive."""
    count = len(both)
    if count < 3:
        return np.arange(count, dtype=float)
    scale = 1 / np.sqrt(both.sum(axis=1))
    vector = scale * np.linalg.eigh(np.eye(count) - scale[:, None] * both * scale)[1][:, 1]
    rounded: Vector = np.round(vector / np.abs(vector).max(), 6)
    turned: Vector = rounded * np.sign(rounded[np.argmax(np.abs(rounded) > 0.1)])
    return turned


def _place(x: Vector, wanted: Vector, radius: Vector, height: float) -> tuple[Vector, Vector]:
    """Nodes one after the other, the largest first, each where it is wanted or at the nearest free place."""
    tries = np.arange(GRAIN, max(height, 2 * GRAIN), GRAIN)
    aside, down = (grid.ravel() for grid in np.meshgrid(ASIDE, tries, indexing="ij"))
    found_x, found_y = x.astype(float).copy(), wanted.astype(float).copy()
    done: list[int] = []
    for node in sorted(range(len(x)), key=lambda one: (-radius[one], wanted[one], one)):
        at_x, at_y = x[node] + aside, np.clip(down, radius[node], max(height - radius[node], radius[node]))
        cost = np.abs(at_y - wanted[node]) + COST_ASIDE * np.abs(aside)
        if done:
            apart = np.hypot(at_x[:, None] - found_x[done], at_y[:, None] - found_y[done])
            covered = radius[node] + radius[done] + CLEARANCE - apart
            cost = cost + 1e4 * np.maximum(covered, 0).max(axis=1)  # where nothing is free, where least is covered
        best = int(np.argmin(cost))
        found_x[node], found_y[node] = at_x[best], at_y[best]
        done.append(node)
    return found_x, found_y
