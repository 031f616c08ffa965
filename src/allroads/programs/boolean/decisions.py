"""Reduced ordered decision diagrams: one node for each function, so that equal functions are equal numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allroads.errors import InputError
from allroads.programs.boolean.tree import Node

MOST_DECISIONS = 200_000
"""Nodes that the diagrams of two formulas may have while they are compared."""


class Decisions:
    """Functions of n variables as nodes of one reduced ordered decision diagram.

    Node 0 is the constant 0 and node 1 the constant 1. Any other node asks one variable, and leads to another node for
    each of its two values. No two nodes ask the same and lead to the same, so that two functions are equal just where
    their nodes are.

    Args:
        order: The variables, that which is asked first first.

    Raises:
        InputError: By a method with ``most``, where more than so many nodes would be needed.

    References: [bryant1986]

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> held = Decisions((0, 1, 2))
        >>> held.made(parse("x0 & (x1 | x2)")) == held.made(parse("x0 & x1 | x0 & x2"))
        True
        >>> held.made(parse("x0 + x1 + x2 >= 2")) == held.made(parse("x0 & x1 | x2 & (x0 | x1)"))
        True
    """

    def __init__(self, order: Sequence[int]):
        self.order = tuple(order)
        self.level = {variable: place for place, variable in enumerate(self.order)}
        self.depth = [len(self.order)] * 2
        self.low, self.high = [0, 1], [0, 1]
        self._unique: dict[tuple[int, int, int], int] = {}
        self._applied: dict[tuple[str, int, int], int] = {}
        self._set: dict[tuple[int, int, int], int] = {}
        self._negated: dict[int, int] = {}

    def node(self, place: int, low: int, high: int) -> int:
        """The node that asks the variable at a place of the order, and leads to two others."""
        if low == high:
            return low
        key = (place, low, high)
        if key not in self._unique:
            self._unique[key] = len(self.low)
            self.depth.append(place)
            self.low.append(low)
            self.high.append(high)
        return self._unique[key]

    def variable(self, index: int) -> int:
        """The node of a variable."""
        return self.node(self.level[index], 0, 1)

    def negation(self, node: int) -> int:
        """The negation of a function."""
        if node < 2:
            return 1 - node
        if node not in self._negated:
            found = self.node(self.depth[node], self.negation(self.low[node]), self.negation(self.high[node]))
            self._negated[node], self._negated[found] = found, node
        return self._negated[node]

    def apply(self, op: str, a: int, b: int, most: int = MOST_DECISIONS) -> int:
        """AND, OR or XOR of two functions."""
        if a > b:
            a, b = b, a
        if a < 2:
            if op == "^":
                return self.negation(b) if a else b
            return (b if a else 0) if op == "&" else (1 if a else b)
        if a == b:
            return 0 if op == "^" else a
        key = (op, a, b)
        if key not in self._applied:
            if len(self.low) > most:
                raise InputError(f"the decision diagram of the formula has more than {most:,} nodes.")
            place = min(self.depth[a], self.depth[b])
            sides = [self.apply(op, self._side(a, place, value), self._side(b, place, value), most) for value in (0, 1)]
            self._applied[key] = self.node(place, *sides)
        return self._applied[key]

    def _side(self, node: int, place: int, value: int) -> int:
        if self.depth[node] != place:
            return node
        return self.high[node] if value else self.low[node]

    def choice(self, test: int, if_one: int, if_zero: int) -> int:
        """The function that is one of two others by the value of a third."""
        return self.apply("|", self.apply("&", test, if_one), self.apply("&", self.negation(test), if_zero))

    def restricted(self, node: int, variable: int, value: int) -> int:
        """A function with one variable set."""
        place = self.level[variable]
        if self.depth[node] > place:
            return node
        if self.depth[node] == place:
            return self.high[node] if value else self.low[node]
        key = (node, place, value)
        if key not in self._set:
            low, high = (self.restricted(side, variable, value) for side in (self.low[node], self.high[node]))
            self._set[key] = self.node(self.depth[node], low, high)
        return self._set[key]

    def made(self, root: Node, most: int = MOST_DECISIONS) -> int:
        """The node of an expression."""
        known: dict[Node, int] = {}

        def visit(node: Node) -> int:
            if node in known:
                return known[node]
            if node.op == "x":
                found = self.variable(node.index)
            elif not node.args:
                found = int(node.op == "1")
            elif node.op == "~":
                found = self.negation(visit(node.args[0]))
            elif node.op == "+":
                found = self._count([visit(arg) for arg in node.args], node.counts, most)
            else:
                found = visit(node.args[0])
                for arg in node.args[1:]:
                    found = self.apply(node.op, found, visit(arg), most)
            known[node] = found
            return found

        return visit(root)

    def _count(self, args: list[int], counts: tuple[int, ...], most: int) -> int:
        """1 where as many functions are 1 as the counts say, from the last function back."""
        after = [int(count in counts) for count in range(len(args) + 1)]
        for place in range(len(args) - 1, -1, -1):
            after = [self._chosen(args[place], after[k + 1], after[k], most) for k in range(place + 1)]
        return after[0]

    def _chosen(self, test: int, if_one: int, if_zero: int, most: int) -> int:
        one, zero = self.apply("&", test, if_one, most), self.apply("&", self.negation(test), if_zero, most)
        return self.apply("|", one, zero, most)

    def nodes(self, root: int) -> list[int]:
        """The nodes of a function, constants left out, the deepest first."""
        seen: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node > 1 and node not in seen:
                seen.add(node)
                stack += [self.low[node], self.high[node]]
        return sorted(seen, key=lambda node: (-self.depth[node], node))

    def support(self, root: int) -> tuple[int, ...]:
        """The variables that a function depends on, ascending."""
        return tuple(sorted({self.order[self.depth[node]] for node in self.nodes(root)}))

    def model(self, root: int) -> int | None:
        """The row ``Σ b_i 2^i`` of the first path to 1, 0 before 1 and 0 where a bit is free; ``None`` for 0."""
        if root == 0:
            return None
        row, node = 0, root
        while node > 1:
            value = int(self.low[node] == 0)
            row |= value << self.order[self.depth[node]]
            node = self.high[node] if value else self.low[node]
        return row

    def share(self, root: int) -> float:
        """Share of the rows on which a function is 1."""
        found = {0: 0.0, 1: 1.0}
        for node in self.nodes(root):
            found[node] = (found[self.low[node]] + found[self.high[node]]) / 2
        return found[root]

    def drawn(self, root: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """Rows ``[count, n]`` on which a function that is not 0 is 1, drawn uniformly; columns are variables."""
        share = {0: 0.0, 1: 1.0}
        for node in self.nodes(root):
            share[node] = (share[self.low[node]] + share[self.high[node]]) / 2
        rows = rng.random((count, len(self.order))) < 0.5
        for row in rows:
            node = root
            while node > 1:
                low, high = share[self.low[node]], share[self.high[node]]
                value = rng.random() * (low + high) >= low
                row[self.order[self.depth[node]]] = value
                node = self.high[node] if value else self.low[node]
        return rows

    def values(self, root: int, rows: np.ndarray) -> np.ndarray:
        """Values ``[N]`` of a function on rows of bits ``[N, n]``."""
        low, high = np.array(self.low), np.array(self.high)
        asked = np.array([*self.order, 0])[np.array(self.depth)]
        at = np.full(len(rows), root)
        for _ in range(len(self.order)):
            at = np.where(rows[np.arange(len(rows)), asked[at]], high[at], low[at])
        return np.asarray(at == 1)


def of_table(table: np.ndarray, order: Sequence[int] | None = None) -> tuple[Decisions, int]:
    """The diagram of a table ``[2^n]``, whose row r has bit i equal to ``(r >> i) & 1``.

    Args:
        table: Zeros and ones.
        order: The variables in the order in which they are asked; default the last first.

    Example:
        >>> held, root = of_table(np.array([0, 1, 1, 0]))
        >>> held.support(root), len(held.nodes(root))
        ((0, 1), 3)
    """
    bits = len(table).bit_length() - 1
    own = tuple(range(bits - 1, -1, -1)) if order is None else tuple(int(i) for i in order)
    held = Decisions(own)
    axes = np.asarray(table).astype(np.int64).reshape((2,) * bits)
    at = axes.transpose([bits - 1 - variable for variable in own]).ravel()
    for place in range(bits - 1, -1, -1):
        pairs, which = np.unique(at[0::2] << 32 | at[1::2], return_inverse=True)
        made = [held.node(place, int(p) >> 32, int(p) & 0xFFFFFFFF) for p in pairs.tolist()]
        at = np.array(made, np.int64)[which.reshape(-1)]
    return held, int(at[0])
