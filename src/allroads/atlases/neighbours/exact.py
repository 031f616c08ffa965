"""Neighbour shares of an enumerated map: all moves from all points."""

from __future__ import annotations

import numpy as np

from allroads.atlases.neighbours.enumerated import EnumeratedMap, check_map
from allroads.atlases.neighbours.neighbours import Neighbours
from allroads.errors import InputError
from allroads.results import Measurement
from allroads.status import AtlasStatus

DENSE = 2**12
"""Programs up to which moves are counted in a full matrix."""


def exact_neighbour_share(map: EnumeratedMap) -> Neighbours:
    """φ(q|p) on an enumerated map: the share of one-coordinate moves from the points of p that end in q.

    Every move can be made back, and all are equally likely. So f_p φ(q|p) = f_q φ(p|q) holds exactly.

    Args:
        map: From :func:`~allroads.enumerate_map`.

    Returns:
        :class:`~allroads.atlases.neighbours.Neighbours`; ``value`` is the mean robustness, beside ``null``, what it
        would be if programs were assigned to points at random with their sizes kept: Σ_p f_p².

    Raises:
        InputError: If it is no enumerated map, or no coordinate can change.

    References: [greenbury2016, wagner2008]

    Example:
        Of the four points of two bits one is "and". Both moves from it leave it, and from "nand" one in three does:

        >>> from allroads import enumerate_map
        >>> grid = enumerate_map(lambda x: x[:, 0] & x[:, 1], (0, 1), coordinates=2, progress=False)
        >>> found = exact_neighbour_share(grid)
        >>> found.robustness.round(3).tolist(), found.evolvability.tolist(), found.value
        ([0.667, 0.0], [1, 1], 0.5)
    """
    check_map(map)
    if not map.degree:
        raise InputError("map: each coordinate has one value alone, so there is no move. Give alphabets of two values.")
    source, target, count = _moves(map)
    tried = map.counts * map.degree
    share = count / tried[source]
    flow = count / tried.sum()
    kept = float(flow[source == target].sum())
    null = float(map.frequency @ map.frequency)
    alone = len(map.programs) == 1
    return Neighbours(
        map.programs, map.frequency, map.counts, source, target, share, share, share, flow, flow, flow, tried,
        Measurement(kept, None, AtlasStatus.OK), Measurement(null, None, AtlasStatus.OK),
        Measurement(1.0, None, AtlasStatus.OK), AtlasStatus.ONE_PROGRAM if alone else AtlasStatus.OK,
        {
            "move": "one coordinate changes to another value of its alphabet, all such changes alike",
            "starts": len(map.labels), "moves": map.degree, "exact": True, "functions": map.functions,
        },
    )  # fmt: skip


def _moves(map: EnumeratedMap) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of programs that a move joins, in order, and the number of moves of each."""
    size = len(map.programs)
    if size <= DENSE:
        table = np.zeros((size, size), np.int64)
        for one, other in map.pairs():
            codes = map.labels[one].astype(np.int64) * size + map.labels[other]
            table += np.bincount(codes, minlength=size**2).reshape(size, size)
        table += table.T
        source, target = np.nonzero(table)
        return source, target, table[source, target]
    found = []
    for one, other in map.pairs():
        a, b = map.labels[one].astype(np.int64), map.labels[other].astype(np.int64)
        found.append(np.unique(np.concatenate([a * size + b, b * size + a]), return_counts=True))
    codes, place = np.unique(np.concatenate([code for code, _ in found]), return_inverse=True)
    count = np.zeros(len(codes), np.int64)
    np.add.at(count, place, np.concatenate([count for _, count in found]))
    return codes // size, codes % size, count
