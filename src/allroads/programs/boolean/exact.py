"""Exact minimal formulas of up to four variables, by dynamic programming over all functions."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.programs.boolean.tree import ZERO, Node, full_table, gate, negation, variable, variable_table

MOST_EXACT = 4
"""Variables up to which every function has been gone through; one more means 2^32 functions."""


@cache
def exact_sizes(bits: int) -> np.ndarray:
    """Fewest two-input gates of a formula of each function of n ≤ 4 variables, negation free.

    Args:
        bits: n.

    Returns:
        Sizes ``[2^(2^n)]`` at the position of each table; at most 1, 4 and 7 for n = 2, 3, 4.

    References: [knuth2011]

    Example:
        >>> np.bincount(exact_sizes(3)).tolist()
        [8, 30, 114, 80, 24]
    """
    sizes: np.ndarray = _solved(bits)[0]
    return sizes


@cache
def _solved(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Sizes, and for each function the two operands and the gate of one shortest formula.

    Functions that are 1 in row 0 are the negations of others, and negation is free. Of functions that are 0 there, five
    gates give such a function again. A formula of s gates joins two that have s − 1 gates together.
    """
    count = 1 << (1 << bits)
    full = np.uint16(full_table(bits))
    size = np.full(count, -1)
    made = np.zeros((count, 3), dtype=np.int32)
    size[[0, *(variable_table(i, bits) for i in range(bits))]] = 0
    layers = [np.flatnonzero(size == 0).astype(np.uint16)]
    while (size >= 0).sum() < count // 2:
        new = len(layers)
        for small in range((new - 1) // 2 + 1):
            a, b = layers[small][:, None], layers[new - 1 - small][None, :]
            for number, values in enumerate((a & b, a & ~b, ~a & b, a | b, a ^ b)):
                flat = values.ravel()
                fresh = np.flatnonzero(size[flat] < 0)
                found, first = np.unique(flat[fresh], return_index=True)
                rows, columns = np.divmod(fresh[first], b.size)
                size[found] = new
                made[found] = np.stack([a[rows, 0], b[0, columns], np.full(len(found), number)], axis=1)
        layers.append(np.flatnonzero(size == new).astype(np.uint16))
    odd = np.flatnonzero(size < 0)
    size[odd] = size[(~odd.astype(np.uint16)) & full]
    return size, made


@cache
def exact_formula(table: int, bits: int) -> Node:
    """A shortest formula of a function of n ≤ 4 variables.

    Args:
        table: Its table.
        bits: n.

    Example:
        The majority of three bits takes four gates.

        >>> exact_formula(0b11101000, 3).gates
        4
    """
    if table & 1:
        return negation(exact_formula(full_table(bits) ^ table, bits))
    if table == 0:
        return ZERO
    for index in range(bits):
        if table == variable_table(index, bits):
            return variable(index)
    left, right, number = _solved(bits)[1][table].tolist()
    a, b = exact_formula(left, bits), exact_formula(right, bits)
    ways = (("&", a, b), ("&", a, negation(b)), ("&", negation(a), b), ("|", a, b), ("^", a, b))
    op, *operands = ways[number]
    return gate(op, tuple(operands))
