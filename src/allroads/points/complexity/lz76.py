"""Lempel–Ziv complexity of a truth table, in the variant used for the simplicity bias of maps."""

from __future__ import annotations

import math

import numpy as np


def lz76(table: np.ndarray) -> float:
    """Lempel–Ziv complexity ``K = log₂L · (N(s) + N(reversed s)) / 2`` of a table s of L zeros and ones.

    N is the number of words of the 1976 parsing: each word is the shortest piece that did not begin earlier in the
    string (overlap allowed); an unfinished last word counts. A constant string has ``K = log₂ L`` by definition.
    This is the variant of [dingle2018], as their Python code computes it; others in use count the last word or the
    reversed string differently and give other numbers.

    K depends on the order of the rows, so it changes when bits are renamed. The rows are read as everywhere in
    allroads, row 0 first, which is lexicographic order with the *last* bit x_{n−1} the most significant. For a function
    whose first bit is to be the most significant, see :func:`first_bit_most_significant`.

    Args:
        table: Zeros and ones ``[L]``.

    Returns:
        K in bits, a multiple of ``½ log₂ L``.

    When it fails: it calls parity complex (91 of at most about 160 for 7 bits), which takes n − 1 gates. Time grows
    with L² / log L: 0.03 s for 2^12 random rows, 3 s for 2^16.

    References: [lempel1976, dingle2018]

    Example:
        >>> lz76(np.zeros(128)), lz76(np.arange(128) // 64), lz76(np.arange(128) // 127)
        (7.0, 21.0, 17.5)
    """
    scale = math.log2(len(table))
    text = np.asarray(table, dtype=np.uint8).tobytes()
    if len(set(text)) == 1:
        return scale
    return scale * (words(text) + words(text[::-1])) / 2


def words(text: bytes) -> int:
    """Number of words of the 1976 parsing; an unfinished last word counts.

    References: [lempel1976]

    Example:
        >>> words(b"0001101001000101")  # 0 · 001 · 10 · 100 · 1000 · 101
        6
    """
    count = start = 0
    while start < len(text):
        length, found = 1, 0
        while start + length <= len(text):
            found = text.find(text[start : start + length], found, start + length - 1)
            if found < 0:
                break
            length += 1
        count += 1
        start += length
    return count


def first_bit_most_significant(table: np.ndarray) -> np.ndarray:
    """The table with its rows in lexicographic order of ``(x₀, …, x_{n−1})``: x₀ the most significant bit.

    Position p of the result holds row ``Σ_i ((p >> (n−1−i)) & 1) 2^i``, the bits of p in reverse. It is its own
    inverse, so it also takes a table listed in that order, as is usual in the literature (with x₁ … x_n for our
    x₀ … x_{n−1}), to allroads' order.

    Args:
        table: ``[2^n]``.

    Example:
        >>> first_bit_most_significant(np.array([0, 1, 0, 1])).tolist()  # x0
        [0, 0, 1, 1]
    """
    bits = len(table).bit_length() - 1
    positions = np.arange(len(table))
    reordered: np.ndarray = np.asarray(table)[sum((positions >> (bits - 1 - i) & 1) << i for i in range(bits))]
    return reordered
