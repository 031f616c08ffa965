"""Normal form of a Boolean expression: the same for all orders, brackets and places of negations."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from allroads.programs.boolean.tree import ONE, OPERATORS, ZERO, Node, gate, negation, nodes


@lru_cache(maxsize=1 << 16)
def normal_form(node: Node, negated: bool = False) -> Node:
    """The normal form of an expression, or of its negation.

    Gates are associative and commutative: they are flattened and their operands sorted. Negations move to the variables
    through AND and OR (De Morgan) and out of XOR. Constants, repeated operands and ``a & ~a`` go. Distribution and
    absorption are not applied: those make other steps. A count that is an AND, OR or XOR becomes one; another counts
    operands of which at most half are negated.

    Args:
        node: The expression.
        negated: Whether its negation is meant.

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> str(normal_form(parse("~(x2 & ~(x1 ^ ~x0))"))), str(normal_form(parse("(x1 | x0) & 1 | x0")))
        ('~x2 | ~(x0 ^ x1)', 'x0 | x1')
    """
    if node.op == "~":
        return normal_form(node.args[0], not negated)
    if not node.args:
        return negation(node) if negated else node
    if node.op == "^":
        return _exclusive(node, negated)
    if node.op == "+":
        return _counted(node, negated)
    op = node.op if not negated else "|" if node.op == "&" else "&"
    zero, one = (ZERO, ONE) if op == "&" else (ONE, ZERO)  # what decides the gate, and what changes nothing
    flat = gate(op, tuple(normal_form(arg, negated) for arg in node.args))
    args = set(flat.args if flat.op == op else (flat,)) - {one}
    if zero in args or any(normal_form(arg, True) in args for arg in args):
        return zero
    return gate(op, tuple(sorted(args, key=_order))) if args else one


def _exclusive(node: Node, negated: bool) -> Node:
    odd: set[Node] = set()
    for arg in node.args:
        found = normal_form(arg)
        if found.op == "~":
            found, negated = found.args[0], not negated
        for part in found.args if found.op == "^" else (found,):
            positive = unsigned(part)
            negated ^= positive != part
            odd ^= {positive} - {ZERO}
    whole = gate("^", tuple(sorted(odd, key=_order)))
    return normal_form(whole, negated) if whole.op != "^" else negation(whole) if negated else whole


def _counted(node: Node, negated: bool) -> Node:
    args, counts = [normal_form(arg) for arg in node.args], set(node.counts)
    counts = {count - args.count(ONE) for count in counts}
    args = sorted((arg for arg in args if arg not in (ZERO, ONE)), key=_order)
    most = len(args)
    counts = {count for count in range(most + 1) if (count in counts) != negated}
    for swapped in (False, True):  # all operands negated, and their number counted from the other end
        signed = tuple(sorted((normal_form(arg, swapped) for arg in args), key=_order))
        kinds = tuple(sorted(most - count if swapped else count for count in counts))
        simple = simple_count(signed, kinds)
        if simple is not None:
            return normal_form(simple)
    other = tuple(sorted((normal_form(arg, True) for arg in args), key=_order))
    ways = [(tuple(args), tuple(sorted(counts))), (other, tuple(sorted(most - count for count in counts)))]
    found = min(ways, key=lambda way: (sum(arg.op == "~" for arg in way[0]), list(map(str, way[0])), way[1]))
    return Node("+", found[0], counts=found[1])


def simple_count(args: tuple[Node, ...], counts: tuple[int, ...]) -> Node | None:
    """A count as a constant, or as AND, OR or XOR or the negation of one; ``None`` where it is neither.

    Example:
        >>> from allroads.programs.boolean.tree import variable
        >>> pair = variable(0), variable(1)
        >>> [str(simple_count(pair, counts)) for counts in ((2,), (1, 2), (0, 2), ())]
        ['x0 & x1', 'x0 | x1', '~(x0 ^ x1)', '0']
    """
    most, chosen = len(args), set(counts)
    if chosen in (set(), set(range(most + 1))):
        return ONE if chosen else ZERO
    odd = set(range(1, most + 1, 2))
    for op, held in (("&", {most}), ("|", set(range(1, most + 1))), ("^", odd)):
        if chosen == held:
            return gate(op, args)
        if chosen == set(range(most + 1)) - held:
            return negation(gate(op, args))
    return None


@lru_cache(maxsize=1 << 16)
def unsigned(node: Node) -> Node:
    """The shorter to write of an expression and its negation, both in normal form: negation is free.

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> str(unsigned(parse("~x0 | ~x1")))
        'x0 & x1'
    """
    if node.op == "x" or not node.args:
        return node if node.op == "x" else ZERO
    both = normal_form(node), normal_form(node, True)
    return min(both, key=lambda n: (len(str(n)), str(n)))


def _order(node: Node) -> Any:
    return node.gates, [n.index for n in nodes(node) if n.op == "x"], str(node)


def sub_formulas(node: Node) -> frozenset[Node]:
    """The gates of an expression, each unsigned; an expression without gates is its own.

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> sorted(map(str, sub_formulas(parse("~(x0 & x1) ^ x2"))))
        ['x0 & x1', 'x2 ^ x0 & x1']
    """
    whole = normal_form(node)
    found = {unsigned(part) for part in nodes(whole) if part.op in OPERATORS}
    return frozenset(found or {unsigned(whole)})
