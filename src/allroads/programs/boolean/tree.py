"""Expression tree of a Boolean formula: variables, constants, negation, AND, OR, XOR, and counts of true operands.

Tables are whole numbers: bit r is the value in row r, and row r has bit i equal to ``(r >> i) & 1``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

OPERATORS = ("&", "|", "^", "+")
"""The gates, of two or more operands; ``+`` counts the true ones."""

_BINDING = {"+": -1, "|": 0, "^": 1, "&": 2, "~": 3, "x": 4, "0": 4, "1": 4}


@dataclass(frozen=True)
class Node:
    """A node of an expression.

    Args:
        op: ``"x"`` (a variable), ``"0"``, ``"1"``, ``"~"``, or a gate of :data:`OPERATORS`.
        args: The operands; none for a variable or a constant.
        index: The number of a variable.
        counts: Of a count, the numbers of true operands at which it is 1, ascending.

    Example:
        >>> str(Node("&", (variable(0), Node("~", (variable(1),)))))
        'x0 & ~x1'
        >>> str(Node("+", (variable(0), variable(1), variable(2)), counts=(2, 3)))
        'x0 + x1 + x2 >= 2'
    """

    op: str
    args: tuple[Node, ...] = ()
    index: int = -1
    counts: tuple[int, ...] = ()
    _hash: int = field(init=False, repr=False, compare=False)
    gates: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.op, self.args, self.index, self.counts)))
        inside = sum(arg.gates for arg in self.args)
        object.__setattr__(self, "gates", inside + (len(self.args) - 1 if self.op in OPERATORS else 0))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        if self.op == "x":
            return f"x{self.index}"
        if not self.args:
            return self.op
        own = _BINDING["~" if self.op == "+" else self.op]
        shown = [f"({arg})" if _BINDING[arg.op] < own else str(arg) for arg in self.args]
        whole = f"~{shown[0]}" if self.op == "~" else f" {self.op} ".join(shown)
        return f"{whole} {compared(self)}" if self.op == "+" else whole


def compared(node: Node) -> str:
    """What a count is compared with, as Python: ``>= 2``, ``<= 1``, ``== 1``, or ``in (0, 3)``."""
    counts = node.counts
    first, last, most = min(counts, default=0), max(counts, default=0), len(node.args)
    if len(counts) == 1:
        return f"== {first}"
    if len(counts) == last - first + 1 and (first == 0 or last == most):
        return f"<= {last}" if first == 0 else f">= {first}"
    return f"in {counts!r}"


ZERO, ONE = Node("0"), Node("1")


@cache
def variable(index: int) -> Node:
    """The variable ``x{index}``."""
    return Node("x", (), index)


def negation(node: Node) -> Node:
    """The negation of a node; that of a negation or a constant is simplified.

    Example:
        >>> str(negation(negation(variable(0)))), str(negation(ZERO))
        ('x0', '1')
    """
    if node.op == "~":
        return node.args[0]
    return ONE if node.op == "0" else ZERO if node.op == "1" else Node("~", (node,))


def gate(op: str, args: tuple[Node, ...]) -> Node:
    """A gate of any number of operands; operands that are the same gate are flattened into it.

    Example:
        >>> str(gate("&", (variable(0), gate("&", (variable(1), variable(2))))))
        'x0 & x1 & x2'
    """
    flat = tuple(inner for arg in args for inner in (arg.args if arg.op == op else (arg,)))
    if not flat:
        return ONE if op == "&" else ZERO
    return flat[0] if len(flat) == 1 else Node(op, flat)


@cache
def full_table(bits: int) -> int:
    """The table of the constant 1 over n bits."""
    return (1 << (1 << bits)) - 1


@cache
def variable_table(index: int, bits: int) -> int:
    """The table of a variable over n bits.

    Example:
        >>> [f"{variable_table(i, 2):04b}" for i in range(2)]
        ['1010', '1100']
    """
    block = 1 << index
    repeats = full_table(bits) // ((1 << 2 * block) - 1)
    return (((1 << block) - 1) << block) * repeats


def table_of(node: Node, bits: int, held: Mapping[Node, int] | None = None) -> int:
    """The table of an expression over n bits.

    Args:
        node: The expression.
        bits: n.
        held: Nodes whose tables are given in place of their own.

    Example:
        >>> f"{table_of(gate('^', (variable(0), variable(1))), 2):04b}"
        '0110'
    """
    known: dict[Node, int] = dict(held or {})

    def value(node: Node) -> int:
        if node in known:
            return known[node]
        if node.op == "x":
            found = variable_table(node.index, bits)
        elif not node.args:
            found = full_table(bits) if node.op == "1" else 0
        else:
            tables = [value(arg) for arg in node.args]
            found = full_table(bits) ^ tables[0] if node.op == "~" else tables[0]
            if node.op == "+":
                found = _count_table(tables, node.counts, bits)
            for table in tables[1:] if node.op != "+" else ():
                found = found & table if node.op == "&" else found | table if node.op == "|" else found ^ table
        known[node] = found
        return found

    return value(node)


def _count_table(tables: list[int], counts: tuple[int, ...], bits: int) -> int:
    """The table that is 1 where as many tables are 1 as the counts say."""
    exactly = [full_table(bits)]
    for table in tables:
        more = [*exactly, 0]
        exactly = [(more[k] & ~table) | (more[k - 1] & table if k else 0) for k in range(len(more))]
    found = 0
    for count in counts:
        found |= exactly[count]
    return found


def substitute(node: Node, values: Mapping[int, Node]) -> Node:
    """The expression with variables replaced by expressions.

    Example:
        >>> str(substitute(gate("|", (variable(0), variable(1))), {1: gate("&", (variable(1), variable(2)))}))
        'x0 | x1 & x2'
    """
    known: dict[Node, Node] = {}

    def moved(node: Node) -> Node:
        if node not in known:
            if node.op == "x":
                known[node] = values.get(node.index, node)
            elif node.op == "~":
                known[node] = negation(moved(node.args[0]))
            else:
                args = tuple(map(moved, node.args))
                whole = Node("+", args, counts=node.counts) if node.op == "+" else gate(node.op, args)
                known[node] = whole if node.args else node
        return known[node]

    return moved(node)


def nodes(node: Node) -> Iterator[Node]:
    """Every node of a tree, itself first, as often as it occurs."""
    yield node
    for arg in node.args:
        yield from nodes(arg)


def depends_on(table: int, index: int, bits: int) -> bool:
    """Whether a table over n bits depends on a variable.

    Example:
        >>> depends_on(0b1010, 0, 2), depends_on(0b1010, 1, 2)
        (True, False)
    """
    ones = variable_table(index, bits)
    return (table & ones) >> (1 << index) != table & (full_table(bits) ^ ones)
