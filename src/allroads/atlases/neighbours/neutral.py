"""Neutral components: the connected parts of the set of points that have one program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from allroads.atlases.neighbours.enumerated import EnumeratedMap, check_map


@dataclass(frozen=True, eq=False)
class Components:
    """The neutral components of a map, and which of them a move joins.

    Args:
        of: The number of the component of each point ``[N]``.
        program: The number of the program of each component ``[M]``.
        sizes: Points of each component ``[M]``.
        edges: Pairs of components of different programs that a move joins, each pair once, the smaller number first
            ``[E, 2]``.
    """

    of: np.ndarray
    program: np.ndarray
    sizes: np.ndarray
    edges: np.ndarray

    def per_program(self) -> np.ndarray:
        """Number of components of each program ``[K]``."""
        return np.bincount(self.program)


def neutral_components(map: EnumeratedMap) -> Components:
    """The connected components of each program's points under one-coordinate moves.

    Within a component every point can be reached from every other without leaving the program.

    Example:
        The two points of "exclusive or" differ in both bits, so no neutral move joins them; nor the other two:

        >>> from allroads import enumerate_map
        >>> grid = enumerate_map(lambda x: x[:, 0] ^ x[:, 1], (0, 1), coordinates=2, progress=False)
        >>> found = neutral_components(grid)
        >>> found.per_program().tolist(), len(found.edges)
        ([2, 2], 4)
    """
    check_map(map)
    inside: list[tuple[np.ndarray, np.ndarray]] = []
    across: list[tuple[np.ndarray, np.ndarray]] = []
    for one, other in map.pairs():
        same = map.labels[one] == map.labels[other]
        inside.append((one[same], other[same]))
        across.append((one[~same], other[~same]))
    total = len(map.labels)
    none = [np.empty(0, np.int32)]
    rows, columns = (np.concatenate(none + [pair[end] for pair in inside]) for end in (0, 1))
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(total, total))
    number, of = connected_components(graph, directed=False)
    program = np.empty(number, np.int32)
    program[of] = map.labels
    pairs = [np.unique(_code(of[one].astype(np.int64), of[other], number)) for one, other in across]
    codes = np.unique(np.concatenate(pairs)) if pairs else np.empty(0, np.int64)
    edges = np.stack([codes // number, codes % number], axis=1)
    return Components(of, program, np.bincount(of, minlength=number), edges)


def _code(one: np.ndarray, other: np.ndarray, number: int) -> np.ndarray:
    return np.asarray(np.minimum(one, other) * number + np.maximum(one, other))
