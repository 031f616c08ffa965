"""The reach graph: which programs are reached from which, its strong components and their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import polars as pl

from allroads.checks import check_number
from allroads.distributions import clopper_pearson
from allroads.errors import InputError
from allroads.results import Result
from allroads.status import AtlasStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class ReachGraph(Result):
    """Arcs p → q with reach above a threshold, and what they make of the nodes.

    Args:
        names: Of the nodes.
        certain: The 95 % interval of the reach lies above the threshold, ``[N, N]``.
        possible: It reaches above the threshold, ``[N, N]``; an arc that was never tried is possible.
        component: The strong component of each node by the certain arcs, ``[N]``; numbered so that arcs lead from
            lower numbers to higher ones.
        parts: One row per component: ``component``, ``nodes`` (names), ``size``, ``sink`` (no certain arc leaves it).
        arcs: The condensation: ``source``, ``target`` (components), for every certain arc between two.
        fewest: Strong components if every possible arc holds.
        status: ``ok``; ``undecided`` where the possible arcs would make fewer components.
    """

    names: tuple[str, ...]
    certain: np.ndarray
    possible: np.ndarray
    component: np.ndarray
    parts: pl.DataFrame
    arcs: pl.DataFrame
    fewest: int
    status: Status

    @property
    def value(self) -> float:
        """Number of strong components by the certain arcs."""
        return float(len(self.parts))

    @property
    def error(self) -> None:
        """``None``: read ``fewest``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of ``certain`` and ``possible`` arcs, of ``sinks``, and ``fewest`` components."""
        found = {"certain": int(self.certain.sum()), "possible": int(self.possible.sum())}
        return {**found, "sinks": int(self.parts["sink"].sum()), "fewest": self.fewest}


def reach_graph(reached: Any, tried: Any, *, above: float = 0.0, names: Sequence[str] | None = None) -> ReachGraph:
    """The graph of pairs p → q with ``R(p → q) > above``, its strong components and condensation.

    R is a share of trials, with the 95 % interval of Clopper and Pearson for each arc alone. Programs of one strong
    component are reached from each other. The condensation has no circle; its sinks are where runs end up.

    Args:
        reached: Trials from row that reached column, ``[N, N]`` whole numbers. The diagonal is not read.
        tried: Trials, ``[N, N]`` or one number for all.
        above: The threshold r₀, from 0 to below 1; default 0: reached at all.
        names: Of the nodes; default ``"0"``, ``"1"``, …

    Returns:
        A :class:`ReachGraph`.

    Raises:
        InputError: If shapes do not fit, counts are no whole numbers, or more were reached than tried.

    References:
        [clopper1934]

    Example:
        a and b reach each other, and b reaches c, from where nothing leads back:

        >>> reached = [[0, 16, 0], [16, 0, 16], [0, 0, 0]]
        >>> found = reach_graph(reached, 16, above=0.5, names=["a", "b", "c"])
        >>> found.parts.select("nodes", "sink").rows(), found.arcs.rows()
        ([(['a', 'b'], False), (['c'], True)], [(0, 1)])
    """
    check_number("above", above, 0, 1)
    hits, trials = _counts(reached, "reached"), _counts(tried, "tried")
    if hits.ndim != 2 or hits.shape[0] != hits.shape[1] or not len(hits):
        raise InputError(f"reached: expected a square matrix [N, N]; got shape {hits.shape}.")
    if trials.shape not in ((), hits.shape):
        raise InputError(f"tried: expected one number, or shape {hits.shape}; got {trials.shape}.")
    trials = np.broadcast_to(trials, hits.shape)
    inner = ~np.eye(len(hits), dtype=bool)
    if (wrong := np.argwhere(inner & (hits > trials))).size:
        p, q = wrong[0]
        raise InputError(
            f"reached: {hits[p, q]} of {trials[p, q]} trials from {p} to {q}; expected no more than tried."
        )
    known = [str(node) for node in range(len(hits))] if names is None else [str(name) for name in names]
    if len(known) != len(hits) or len(set(known)) != len(known):
        raise InputError(f"names: expected {len(hits)} different ones; got {len(known)}.")
    pairs, inverse = np.unique(np.stack([hits[inner], trials[inner]]), axis=1, return_inverse=True)
    ends = np.array([clopper_pearson(h, n) if n else (0.0, 1.0) for h, n in pairs.T.tolist()]).reshape(-1, 2)
    low, high = np.zeros(hits.shape), np.zeros(hits.shape)
    low[inner], high[inner] = ends[inverse.ravel()].T
    certain, possible = inner & (low > above), inner & (high > above)
    order = nx.condensation(nx.from_numpy_array(certain, create_using=nx.DiGraph))
    place = {part: at for at, part in enumerate(nx.lexicographical_topological_sort(order, lambda p: _first(order, p)))}
    component = np.zeros(len(hits), int)
    for node, part in order.graph["mapping"].items():
        component[node] = place[part]
    arcs = sorted((place[p], place[q]) for p, q in order.edges)
    sources = {p for p, _ in arcs}
    rows = [[known[node] for node in np.flatnonzero(component == part)] for part in range(len(place))]
    parts = pl.DataFrame(
        {
            "component": list(range(len(rows))),
            "nodes": rows,
            "size": [len(row) for row in rows],
            "sink": [part not in sources for part in range(len(rows))],
        },
        schema={"component": pl.Int64, "nodes": pl.List(pl.String), "size": pl.Int64, "sink": pl.Boolean},
    )
    fewest = nx.number_strongly_connected_components(nx.from_numpy_array(possible, create_using=nx.DiGraph))
    return ReachGraph(
        tuple(known),
        certain,
        possible,
        component,
        parts,
        pl.DataFrame(arcs, schema={"source": pl.Int64, "target": pl.Int64}, orient="row"),
        fewest,
        AtlasStatus.OK if fewest == len(rows) else AtlasStatus.UNDECIDED,
    )


def _first(order: Any, part: int) -> int:
    return int(min(order.nodes[part]["members"]))


def _counts(given: Any, what: str) -> np.ndarray:
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: expected whole numbers ({error}).") from error
    if not np.isfinite(found).all() or (found < 0).any() or (found != np.rint(found)).any():
        raise InputError(f"{what}: expected whole numbers from 0, how often it was so.")
    return found.astype(np.int64)
