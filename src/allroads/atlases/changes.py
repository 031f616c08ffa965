"""Changes of program along runs: how often each leads where, with exact intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from allroads.atlases.tables import EDGES
from allroads.distributions import clopper_pearson


def change_counts(walks: Sequence[Sequence[str]]) -> Counter[tuple[str, str]]:
    """How often a node is followed by another, over all walks; a node that follows itself is no change.

    Example:
        >>> change_counts([["a", "b", "a", "b"]])
        Counter({('a', 'b'): 2, ('b', 'a'): 1})
    """
    return Counter((p, q) for walk in walks for p, q in pairwise(walk) if p != q)


def change_edges(walks: Sequence[Sequence[str]], least: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The share of the changes that leave each node which go to each other, with 95 % intervals.

    A node that fewer than ``least`` changes leave has no edges; they are counted.

    Args:
        walks: The nodes of each run, in order.
        least: Fewest changes from a node from which its shares are estimated.

    Returns:
        Edges with the quantity ``changes``, and the counts ``changes``, ``edges_left_out`` and ``changes_left_out``.

    References: [clopper1934]

    Example:
        >>> edges, counts = change_edges([["a", "b", "c"]] * 5 + [["c", "a"]], least=5)
        >>> edges.select("source", "target", "value", "tried").rows(), counts["edges_left_out"]
        ([('a', 'b', 1.0, 5), ('b', 'c', 1.0, 5)], 1)
    """
    counts = change_counts(walks)
    leaving: Counter[str] = Counter()
    for (p, _), count in counts.items():
        leaving[p] += count
    rows: list[dict[str, Any]] = []
    for (p, q), count in counts.items():
        if leaving[p] < least:
            continue
        low, high = clopper_pearson(count, leaving[p])
        row = {"source": p, "target": q, "quantity": "changes", "value": count / leaving[p], "low": low, "high": high}
        rows.append(row | {"tried": leaving[p], "status": "ok"})
    left_out = sum(leaving[p] < least for p, _ in counts)
    stats = {
        "changes": sum(counts.values()),
        "edges_left_out": left_out,
        "changes_left_out": sum(count for (p, _), count in counts.items() if leaving[p] < least),
    }
    return pl.DataFrame(rows, schema=dict(EDGES)), stats
