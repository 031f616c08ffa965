"""Prefix code of numbers, of the nodes of a formula, and of a machine's tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

COMMON = ("+", "-", "*", "//", "%", "min", "max")
RARE = ("<", "==", "!=", "^", "&", "|")


def natural_bits(value: int) -> int:
    """Elias's gamma code of n + 1 for a whole number n ≥ 0, in bits.

    Example:
        >>> natural_bits(0), natural_bits(2), natural_bits(7)
        (1, 3, 7)
    """
    return 2 * int(math.log2(value + 1)) + 1


def node_bits(head: str | int, variables: int) -> float:
    """Length in bits of one node of a formula: a variable, a number ≥ 0 or an operation.

    Variables, *number* and arithmetic have four times the weight of comparisons and operations on bits. A number has
    its gamma code besides.

    Args:
        head: The node.
        variables: How many variables there are.

    Example:
        >>> round(node_bits("+", 2), 3), round(node_bits("^", 2), 3), round(node_bits(7, 2), 3)
        (3.524, 5.524, 10.524)
    """
    weight = 1 if head in RARE else 4
    own = math.log2((4 * (variables + 1 + len(COMMON)) + len(RARE)) / weight)
    return own if isinstance(head, str) else own + natural_bits(head)


def table_bits(transitions: Sequence[Sequence[int]], outputs: Sequence[Sequence[Any]]) -> float:
    """Length of the tables of a machine in bits, the letters being given.

    It is the number S of states, then one number per entry: the next state, and the position of the output among the
    symbols in order of their first use. A number costs what it costs in a formula of two variables.

    Args:
        transitions: ``[S][A]`` states.
        outputs: ``[S][A]`` symbols.

    Example:
        >>> round(table_bits(((0, 1), (1, 0)), ((0, 1), (1, 0))), 1)
        47.2
    """
    known = {o: i for i, o in enumerate(dict.fromkeys(o for row in outputs for o in row))}
    moves = sum(node_bits(int(q), 2) for row in transitions for q in row)
    return natural_bits(len(transitions)) + moves + sum(node_bits(known[o], 2) for row in outputs for o in row)
