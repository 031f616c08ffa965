"""Circuit of a Boolean formula."""

from __future__ import annotations

from allroads.programs.boolean.tree import OPERATORS, Node, compared
from allroads.programs.diagram import Diagram, layers

MOST_NODES = 48
"""Nodes above which a circuit is no longer read."""

NAMES = {"&": "AND", "|": "OR", "^": "XOR", "~": "NOT", "+": "COUNT"}


def circuit(root: Node) -> Diagram | None:
    """Variables on the left, gates to their right by depth, each sub-formula once; ``None`` above 48 nodes.

    Example:
        >>> from allroads.programs.boolean import Formula
        >>> found = circuit(Formula.parse("(x0 & x1) ^ x0", 2).root)
        >>> [label for label, _, _ in found.nodes], found.edges
        (['x0', 'x1', 'AND', 'XOR'], ((0, 2, ''), (1, 2, ''), (2, 3, ''), (0, 3, '')))
    """
    depth: dict[Node, int] = {}
    order: list[Node] = []

    def visit(node: Node) -> int:
        if node not in depth:
            depth[node] = max((visit(arg) + 1 for arg in node.args), default=0)
            order.append(node)
        return depth[node]

    visit(root)
    if len(order) > MOST_NODES:
        return None
    columns = [[node for node in order if depth[node] == k] for k in range(depth[root] + 1)]
    number = {node: i for i, node in enumerate(node for column in columns for node in column)}
    edges = tuple((number[arg], number[node], "") for node in order for arg in node.args)
    shown = [[_named(node) for node in column] for column in columns]
    return Diagram("circuit", layers(shown), edges, straight=True)


def _named(node: Node) -> str:
    if node.op == "+":
        return f"{NAMES['+']} {compared(node)}"
    return NAMES[node.op] if node.op in (*OPERATORS, "~") else str(node)
