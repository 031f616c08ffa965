"""Values of a Boolean expression on rows of bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from allroads.programs.boolean.tree import Node


def values_of(node: Node, rows: np.ndarray, held: Mapping[Node, np.ndarray] | None = None) -> np.ndarray:
    """The values of an expression on rows of bits, for functions of too many inputs for a table.

    Args:
        node: The expression.
        rows: Booleans ``[N, n]``.
        held: Nodes whose values ``[N]`` are given in place of their own.

    Returns:
        Booleans ``[N]``.

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> rows = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1]], bool)
        >>> values_of(parse("(x0 + x1 + x2 >= 2) & ~x1"), rows).tolist()
        [False, True, False]
    """
    known: dict[Node, np.ndarray] = dict(held or {})

    def value(node: Node) -> np.ndarray:
        if node in known:
            return known[node]
        if node.op == "x":
            found = rows[:, node.index]
        elif not node.args:
            found = np.full(len(rows), node.op == "1")
        else:
            args = [value(arg) for arg in node.args]
            if node.op == "~":
                found = ~args[0]
            elif node.op == "+":
                found = np.isin(np.sum(args, axis=0, dtype=int), node.counts)
            else:
                joined = {"&": np.logical_and, "|": np.logical_or, "^": np.logical_xor}[node.op]
                found = joined.reduce(args)
        known[node] = found
        return found

    return value(node)


def all_rows(bits: int) -> np.ndarray:
    """All ``2^n`` rows of bits in the order of a table, booleans ``[2^n, n]``.

    Example:
        >>> all_rows(2).astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(1 << bits)[:, None] >> np.arange(bits) & 1).astype(bool)
