"""Minimal disjunctive normal form: the fewest products of literals whose OR is the function."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.points.complexity.symmetries import all_codes, variables


@cache
def dnf_terms(bits: int) -> np.ndarray:
    """Exact number of terms of the shortest disjunctive normal form of every function of n ≤ 4 bits.

    A term is a product of literals, the empty product (the constant 1) among them; the constant 0 has no term.

    Args:
        bits: n, at most 4.

    Returns:
        Numbers of terms ``[2^(2^n)]`` at the position of each function's code; at most ``2^(n−1)``.

    References: [wolfram2002]

    Example:
        >>> terms = dnf_terms(2)
        >>> int(terms[0b0110]), int(terms[0b1110]), int(terms[0b1111])  # xor, or, 1
        (2, 2, 1)
    """
    full = all_codes(bits)[-1]
    products = np.array([full])
    for x in variables(bits):
        products = np.concatenate([products, products & x, products & ~x])
    terms = np.full(int(full) + 1, -1)
    terms[0] = 0
    newest = np.zeros(1, dtype=np.uint16)
    while len(newest):
        count = terms[newest[0]] + 1
        reached = np.unique(newest[:, None] | products)
        newest = reached[terms[reached] < 0]
        terms[newest] = count
    return terms
