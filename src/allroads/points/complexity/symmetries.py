"""Boolean functions as numbers, and which of them are the same up to the names and signs of their bits.

A function of n bits is coded as the number ``Σ_r f(r) 2^r``, whose bit r is the value in row r of its table; row r has
bit i equal to ``(r >> i) & 1``, as everywhere in allroads. There are ``2^(2^n)`` codes, 65 536 for n = 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

MOST_BITS = 4
"""Every function of so many bits can be tabulated; one more bit means 2^32 functions."""


def all_codes(bits: int) -> np.ndarray:
    """The codes of all functions of n bits, ascending.

    Example:
        >>> len(all_codes(3))
        256
    """
    return np.arange(1 << (1 << bits), dtype=np.uint16)


def variables(bits: int) -> np.ndarray:
    """The codes of the functions x₀ … x_{n−1}.

    Example:
        >>> [f"{code:04b}" for code in variables(2)]  # row 3 is the leftmost digit
        ['1010', '1100']
    """
    rows = np.arange(1 << bits)
    return np.array([((rows >> i & 1) << rows).sum() for i in range(bits)], dtype=np.uint16)


def substituted(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The functions whose value in row r is the given function's value in ``rows[r]``.

    Example:
        >>> x0 = variables(2)[0]
        >>> bool(substituted(x0, np.array([0, 2, 1, 3])) == variables(2)[1])  # bits exchanged
        True
    """
    codes = np.asarray(codes, dtype=np.uint16)
    moved = np.zeros_like(codes)
    for new, old in enumerate(rows):
        moved |= (codes >> np.uint16(old) & np.uint16(1)) << np.uint16(new)
    return moved


def substitutions(bits: int) -> Iterator[np.ndarray]:
    """The ``n! 2^n`` orders of rows that permuting and negating bits makes, for :func:`substituted`.

    Example:
        >>> [rows.tolist() for rows in substitutions(1)]
        [[0, 1], [1, 0]]
    """
    rows = np.arange(1 << bits)
    for order in itertools.permutations(range(bits)):
        permuted = sum(((rows >> i & 1) << j for i, j in enumerate(order)), np.zeros_like(rows))
        for flips in range(1 << bits):
            yield permuted ^ flips


@lru_cache(maxsize=MOST_BITS + 1)
def npn_classes(bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Which functions are the same up to permuting bits, negating bits and negating the value.

    Args:
        bits: n, at most 4.

    Returns:
        The class of each function, ``[2^(2^n)]``, and the code of one function of each class: 2, 4, 14 and 222
        classes for n = 1 … 4.

    References: [knuth2011]

    Example:
        >>> classes, representatives = npn_classes(3)
        >>> len(classes), len(representatives)
        (256, 14)
    """
    codes = all_codes(bits)
    rows = np.arange(1 << bits)
    generators = [rows ^ 1] if bits else []
    for i in range(bits - 1):
        differ = (rows >> i ^ rows >> (i + 1)) & 1
        generators.append(rows ^ differ << i ^ differ << (i + 1))
    neighbours = np.concatenate([~codes & codes[-1], *(substituted(codes, moved) for moved in generators)])
    edges = (np.ones(len(neighbours), dtype=bool), (np.tile(codes, 1 + len(generators)), neighbours))
    _, classes = connected_components(coo_array(edges, shape=(len(codes), len(codes))), directed=False)
    _, first = np.unique(classes, return_index=True)
    return classes, codes[first]
