"""The atlas of a grid as matrices: shares of changes, and how far programs and functions are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from allroads.atlases.atlas import Atlas

FEWEST = 5
"""Programs below which no slope is tested."""


def adjacency_matrices(atlas: Atlas) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Shares of changes, program distances and function distances ``[N, N]`` of the programs of an atlas.

    A share is 0 where no change was seen, and NaN in the row of a program that too few changes leave.

    Args:
        atlas: With edges ``changes``, and nodes that have ``parts`` and ``function``.

    Returns:
        ``None`` where fewer than five programs have parts, a function is not spelled as its truth table (see
        :func:`~allroads.studies.measures.functions.function_name`), or no edge was estimated.
    """
    if "changes" not in atlas.quantities:
        return None
    nodes = spelled_nodes(atlas.nodes.with_row_index("place").drop_nulls("parts"))
    if nodes is None:
        return None
    place = nodes["place"].to_numpy()
    shares = atlas.matrix("changes")
    left = np.isfinite(shares).any(axis=1, keepdims=True)
    shares = np.where(left, np.nan_to_num(shares), np.nan)[np.ix_(place, place)]
    functions = function_distances(nodes)
    parts = [frozenset(names) for names in nodes["parts"]]
    programs = np.array([[1 - len(a & b) / max(len(a | b), 1) for b in parts] for a in parts])
    np.fill_diagonal(programs, 0.0)
    return shares, programs, functions


def spelled_nodes(nodes: pl.DataFrame) -> pl.DataFrame | None:
    """The nodes whose function is known; ``None`` where one is not spelled as its truth table, or there are too few."""
    known = nodes.drop_nulls("function")
    names = known["function"].to_list()
    alike = len(set(map(len, names))) == 1 and all(name.startswith("0x") for name in names)
    return known if alike and known.height >= FEWEST else None


def function_distances(nodes: pl.DataFrame) -> np.ndarray:
    """The share of inputs on which functions differ ``[N, N]``, of nodes as :func:`spelled_nodes` gives them.

    Example:
        >>> function_distances(pl.DataFrame({"function": ["0x6", "0x7"]})).tolist()
        [[0.0, 0.25], [0.25, 0.0]]
    """
    tables = [int(text, 16) for text in nodes["function"]]
    rows = 4 * (len(nodes["function"].to_list()[0]) - 2)
    return np.array([[(a ^ b).bit_count() / rows for b in tables] for a in tables])
