"""The merge tree of a landscape: which basins are one below which level, drawn as a disconnectivity graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from allroads.atlases.passes.heights import checked_graph, spanning_edges
from allroads.checks import check_number
from allroads.errors import InputError
from allroads.results import Result
from allroads.status import AtlasStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class MergeTree(Result):
    """Components of the sublevel sets ``{L ≤ E}`` of a graph, for all levels E.

    Branches are numbered: the nodes first, 0 … N − 1, then the merges by level. Basins that meet at exactly the same
    level merge at once.

    Args:
        branches: One row per branch: ``branch``, ``node`` (the label; null for a merge), ``x`` (where it is drawn, from
            0 to N − 1), ``low`` (where it begins: the energy of a node, the level of a merge), ``high`` (the level at
            which it merges; null for a root), ``parent`` (null for a root), ``parent_x``, ``size`` (nodes on it).
        bars: One row per node, the bars of H0: ``node``, ``birth`` (its energy), ``death`` (the level at which its
            component joins one with a lower minimum; null for the lowest of a component), ``persistence``, ``into``
            (the node of that lower minimum).
        status: ``ok``; ``disconnected`` where there are several roots.
    """

    branches: pl.DataFrame
    bars: pl.DataFrame
    status: Status

    @property
    def value(self) -> float:
        """Number of components that no level joins."""
        return float(self.bars["death"].null_count())

    @property
    def error(self) -> None:
        """``None``: the tree is exact for the heights that were given."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of ``nodes``, ``merges`` and ``roots``, and the ``highest`` merge."""
        merges = self.branches.filter(pl.col("node").is_null())
        highest = merges["low"].max() if len(merges) else None
        return {"nodes": len(self.bars), "merges": len(merges), "roots": int(self.value), "highest": highest}

    def components(self, level: float) -> np.ndarray:
        """The component of each node in ``{L ≤ level}``, ``[N]``: 0, 1, … by their first node; −1 above the level.

        Raises:
            InputError: If the level is no number.
        """
        check_number("level", level)
        rows = self.branches
        high, parent = rows["high"].fill_null(np.inf).to_numpy(), rows["parent"].fill_null(-1).to_numpy()
        top = np.arange(len(rows))
        for branch in reversed(range(len(rows))):  # parents come after their children
            if high[branch] <= level:
                top[branch] = top[parent[branch]]
        nodes = len(self.bars)
        found, seen = np.full(nodes, -1), dict[int, int]()
        low = rows["low"].to_numpy()
        for node in range(nodes):
            if low[node] <= level:
                found[node] = seen.setdefault(int(top[node]), len(seen))
        return found


def merge_tree(edges: Any, energies: Any, labels: Sequence[str] | None = None) -> MergeTree:
    """The merge tree (disconnectivity graph) of nodes with energies, joined by edges with heights.

    A node enters at its energy. Components join at the pass between them, and the one with the higher minimum dies
    there (elder rule; of two equal minima, the later node dies).

    Args:
        edges: Heights ``[N, N]``, as :func:`~allroads.pass_heights` takes them.
        energies: Of the nodes, ``[N]``, such as the losses at minima.
        labels: Of the nodes; default ``"0"``, ``"1"``, …

    Returns:
        A :class:`MergeTree`.

    Raises:
        InputError: If shapes do not fit, labels are not distinct, or an edge lies below one of its ends.

    When it fails: where heights are upper bounds, as all searched paths give, components can join lower than drawn.

    References:
        [becker1997], [wales1998], [barannikov2019]

    Example:
        Minima at 0, 1 and 2; the last two are joined at 3, and the first to them at 5:

        >>> tree = merge_tree([[0, 5, 6], [5, 0, 3], [6, 3, 0]], energies=[0, 1, 2], labels=["a", "b", "c"])
        >>> tree.bars["death"].to_list(), tree.components(4.0).tolist()
        ([None, 5.0, 3.0], [0, 1, 1])
    """
    if energies is None:
        raise InputError("energies: expected one per node; a merge tree begins at them.")
    heights, own = checked_graph(edges, energies)
    names = [str(node) for node in range(len(own))] if labels is None else [str(label) for label in labels]
    if len(names) != len(own) or len(set(names)) != len(names):
        raise InputError(f"labels: expected {len(own)} different ones; got {len(names)}, {len(set(names))} different.")
    children, levels, deaths = _merged(heights, own)
    parent = {child: len(own) + number for number, group in enumerate(children) for child in group}
    count = len(own) + len(children)
    roots = [branch for branch in range(count) if branch not in parent]
    size = dict.fromkeys(range(len(own)), 1)
    for number, group in enumerate(children):
        size[len(own) + number] = sum(size[child] for child in group)
    low = [*own.tolist(), *levels]
    x = _positions(len(own), children, roots, size, low)
    rows = {
        "branch": list(range(count)),
        "node": [*names, *[None] * len(children)],
        "x": x,
        "low": low,
        "high": [low[parent[branch]] if branch in parent else None for branch in range(count)],
        "parent": [parent.get(branch) for branch in range(count)],
        "parent_x": [x[parent[branch]] if branch in parent else None for branch in range(count)],
        "size": [size[branch] for branch in range(count)],
    }
    bars = {
        "node": names,
        "birth": own.tolist(),
        "death": [deaths[node][0] if node in deaths else None for node in range(len(own))],
        "persistence": [deaths[node][0] - own[node] if node in deaths else None for node in range(len(own))],
        "into": [names[deaths[node][1]] if node in deaths else None for node in range(len(own))],
    }
    return MergeTree(
        pl.DataFrame(rows, schema=BRANCHES),
        pl.DataFrame(bars, schema=BARS),
        AtlasStatus.OK if len(roots) == 1 else AtlasStatus.DISCONNECTED,
    )


BRANCHES: dict[str, Any] = {
    "branch": pl.Int64,
    "node": pl.String,
    "x": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "parent": pl.Int64,
    "parent_x": pl.Float64,
    "size": pl.Int64,
}
"""Columns of the branches."""
BARS: dict[str, Any] = {
    "node": pl.String,
    "birth": pl.Float64,
    "death": pl.Float64,
    "persistence": pl.Float64,
    "into": pl.String,
}
"""Columns of the bars."""

Deaths = dict[int, tuple[float, int]]
"""By node: the level at which its component joins an elder one, and the lowest node of that."""


def _merged(heights: np.ndarray, energies: np.ndarray) -> tuple[list[list[int]], list[float], Deaths]:
    """The branches that each merge joins, its level, and which node dies where."""
    home = list(range(len(energies)))  # the component of a node, by its lowest node
    branch = dict(enumerate(home))  # the branch that a component is on
    children: list[list[int]] = []
    levels: list[float] = []
    deaths: Deaths = {}
    for edge in spanning_edges(heights):
        here, there = home[edge.source], home[edge.target]
        elder, younger = sorted((here, there), key=lambda node: (energies[node], node))
        home = [elder if component == younger else component for component in home]
        deaths[younger] = (edge.height, elder)
        on = (branch[elder], branch.pop(younger))
        at_once = [one for one in on if one >= len(energies) and levels[one - len(energies)] == edge.height]
        if not at_once:
            children.append(list(on))
            levels.append(edge.height)
            branch[elder] = len(energies) + len(children) - 1
            continue
        kept, *rest = at_once
        group = children[kept - len(energies)]
        group += [one for one in on if one not in at_once]
        for other in rest:  # two merges of one level become one; the later of them is left empty
            group += children[other - len(energies)]
            children[other - len(energies)] = []
        branch[elder] = kept
    return _without_empty(len(energies), children, levels, deaths)


def _without_empty(
    nodes: int, children: list[list[int]], levels: list[float], deaths: Deaths
) -> tuple[list[list[int]], list[float], Deaths]:
    """Merges that were emptied taken out, and the others renumbered."""
    kept = [number for number, group in enumerate(children) if group]
    name = {nodes + number: nodes + new for new, number in enumerate(kept)}
    renamed = [[name.get(child, child) for child in children[number]] for number in kept]
    return renamed, [levels[number] for number in kept], deaths


def _positions(
    nodes: int, children: list[list[int]], roots: list[int], size: dict[int, int], low: list[float]
) -> list[float]:
    """Where branches are drawn: nodes side by side so that no two lines cross, a merge over the middle of its children.

    Of the children of a merge the one that begins lowest stands in the middle: the shape of a funnel.
    """
    lowest = list(low)
    for number, group in enumerate(children):
        lowest[nodes + number] = min(lowest[child] for child in group)
    x = [0.0] * len(low)
    place, waiting = 0, sorted(roots, key=lambda branch: lowest[branch], reverse=True)
    while waiting:  # a stack, as trees can be deep
        branch = waiting.pop()
        if branch < nodes:
            x[branch] = float(place)
            place += 1
        else:
            waiting += reversed(_from_the_middle(children[branch - nodes], lowest, size))
    for number, group in enumerate(children):  # children have lower numbers
        x[nodes + number] = float(np.mean([x[child] for child in group]))
    return x


def _from_the_middle(group: list[int], lowest: list[float], size: dict[int, int]) -> list[int]:
    """Branches from left to right: the lowest in the middle, higher ones outside it by turns."""
    order: list[int] = []
    for place, branch in enumerate(sorted(group, key=lambda one: (lowest[one], -size[one], one))):
        order.insert(len(order) if place % 2 else 0, branch)
    return order
