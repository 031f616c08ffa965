"""Fitness landscapes on a graph: peaks, the points from which one can be reached uphill, and the random landscape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order

from allroads.atlases.neighbours.enumerated import EnumeratedMap, check_map
from allroads.checks import check_count


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Who is next to whom, in rows, so that many landscapes can be laid over one graph.

    Args:
        starts: Where the neighbours of each node begin ``[M + 1]``.
        others: Neighbours, node after node ``[2 E]``.
        own: The node of each of these entries ``[2 E]``.
    """

    starts: np.ndarray
    others: np.ndarray
    own: np.ndarray

    @classmethod
    def of(cls, edges: np.ndarray, nodes: int) -> Neighbourhoods:
        """From pairs of neighbours, each pair once ``[E, 2]``."""
        own, others = np.concatenate([edges, edges[:, ::-1]]).astype(np.int32).T
        order = np.argsort(own, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=nodes))])
        return cls(starts, np.ascontiguousarray(others[order]), np.ascontiguousarray(own[order]))


def accessible(graph: Neighbourhoods, fitness: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Nodes from which a path to a target exists along which fitness never falls.

    Args:
        graph: Of M nodes.
        fitness: Of each node ``[M]``.
        targets: Numbers of the nodes to reach.

    Returns:
        Booleans ``[M]``; targets are among them.

    Example:
        A path of five nodes with a valley at node 1:

        >>> line = Neighbourhoods.of(np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), 5)
        >>> accessible(line, np.array([0.5, 0.1, 0.2, 1.0, 0.9]), np.array([3])).tolist()
        [False, True, True, True, True]
    """
    total = len(fitness)
    back = fitness[graph.others] <= fitness[graph.own]
    ends = np.concatenate([[0], np.cumsum(back)])[graph.starts]
    others = np.concatenate([graph.others[back], targets]).astype(np.int32)
    starts = np.append(ends, len(others)).astype(np.int32)  # the last row leads to the targets
    steps = csr_matrix((np.ones(len(others)), others, starts), shape=(total + 1, total + 1))
    found = np.zeros(total + 1, bool)
    found[breadth_first_order(steps, total, return_predecessors=False)] = True
    return found[:total]


def grid_of(map: EnumeratedMap) -> Neighbourhoods:
    """The points of a map and the moves between them."""
    check_map(map)
    pairs = [np.stack(pair, axis=1) for pair in map.pairs()]
    return Neighbourhoods.of(np.concatenate(pairs) if pairs else np.empty((0, 2), int), len(map.labels))


def peaks(graph: Neighbourhoods, fitness: np.ndarray) -> np.ndarray:
    """The nodes without a fitter neighbour, by number.

    Example:
        >>> peaks(Neighbourhoods.of(np.array([[0, 1], [1, 2]]), 3), np.array([1.0, 0.0, 2.0])).tolist()
        [0, 2]
    """
    lower = fitness[graph.own] < fitness[graph.others]
    return np.setdiff1d(np.arange(len(fitness)), graph.own[lower])


def adaptive_basins(graph: Neighbourhoods, fitness: np.ndarray, tops: np.ndarray) -> np.ndarray:
    """The share of all nodes from which each of some nodes is reached by a path along which fitness never falls.

    Example:
        >>> line = Neighbourhoods.of(np.array([[0, 1], [1, 2]]), 3)
        >>> adaptive_basins(line, np.array([1.0, 0.0, 2.0]), np.array([0, 2])).round(3).tolist()
        [0.667, 0.667]
    """
    return np.array([accessible(graph, fitness, np.array([top])).mean() for top in tops])


def random_peaks(size: int, coordinates: int) -> float:
    """Expected number of peaks of a random landscape on a^L points: ``a^L / ((a − 1) L + 1)``.

    The fitness of each point is drawn independently from one continuous law. A point is then the fittest of itself and
    its (a − 1) L neighbours with probability 1 / ((a − 1) L + 1).

    Args:
        size: Values a per coordinate.
        coordinates: Their number L.

    References: [kauffman1987]

    Example:
        >>> random_peaks(2, 3)
        2.0
    """
    check_count("size", size, 2)
    check_count("coordinates", coordinates)
    return float(size**coordinates / ((size - 1) * coordinates + 1))


def random_basin(size: int) -> float:
    """Share of all points from which a peak of a random landscape is reached uphill, as L → ∞: ``1 − β``.

    The expected number of uphill paths from a point to a peak whose fitness is β higher, at the distance (1 − 1/a) L
    of nearly all points, is ``(u^(1 − 1/a) v^(1/a))^L`` to leading order. Here ``u = (e^((a−1)β) − e^(−β)) / a`` and
    ``v = (e^((a−1)β) + (a − 1) e^(−β)) / a`` count the walks that change a coordinate and those that bring it back. At
    the β where that base is 1, paths begin to exist. A peak's fitness is near 1, so that all points below 1 − β reach
    it.

    References: [oros2026, schmiegelt2023]

    Example:
        >>> round(random_basin(2), 3), round(random_basin(4), 3)  # 1 − arsinh(2) / 2
        (0.278, 0.528)
    """
    check_count("size", size, 2)

    def base(rise: float) -> float:
        change = (math.exp((size - 1) * rise) - math.exp(-rise)) / size
        back = (math.exp((size - 1) * rise) + (size - 1) * math.exp(-rise)) / size
        return (1 - 1 / size) * math.log(change) + math.log(back) / size

    rise: Any = brentq(base, 1e-9, 2.0)
    return 1 - float(rise)
