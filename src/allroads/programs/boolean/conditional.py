"""Gates that one Boolean function needs when another is given: a conditional length, exact up to three variables."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.programs.boolean.tree import full_table, variable_table

MOST_CONDITIONAL = 3
"""Variables up to which all pairs of functions are gone through: 256² of three, 65 536² of four."""


@cache
def conditional_sizes(bits: int) -> np.ndarray:
    """Fewest two-input gates of a formula of q whose leaves are the variables and a given function p, ``[p, q]``.

    Negation is free, and p may be used as often as is needed. So a function is 0 gates from itself and from its
    complement, and never further than from nothing: row 0 is ``exact_sizes``. It is a directed distance of programs:
    what is to be built once p is there.

    Args:
        bits: n, up to 3.

    Returns:
        Whole numbers ``[2^(2^n), 2^(2^n)]``.

    Raises:
        InputError: If n is above 3.

    References: [knuth2011] [dingle2018]

    Example:
        Parity of three bits takes one more gate once two of them are added.

        >>> sizes = conditional_sizes(3)
        >>> int(sizes[0, 0b10010110]), int(sizes[0b01100110, 0b10010110]), int(sizes[0b10010110, 0b01101001])
        (2, 1, 0)
    """
    check_count("bits", bits)
    if bits > MOST_CONDITIONAL:
        raise InputError(f"bits: all pairs are gone through for up to {MOST_CONDITIONAL} variables; got {bits}.")
    full = full_table(bits)
    found = np.zeros((full + 1, full + 1), dtype=int)
    for p in range(full // 2 + 1):  # as a leaf, p and its complement are one
        found[p] = found[full ^ p] = _sizes(p, bits)
    found.setflags(write=False)
    return found


def _sizes(given: int, bits: int) -> np.ndarray:
    """Least gates of each function: formulas of s gates join two that have s − 1 together."""
    full = full_table(bits)
    sizes = np.full(full + 1, -1)
    leaves = [0, given, *(variable_table(i, bits) for i in range(bits))]
    sizes[[*leaves, *(full ^ leaf for leaf in leaves)]] = 0
    layers = [np.flatnonzero(sizes == 0)]
    while (sizes < 0).any():
        new = len(layers)
        for small in range((new - 1) // 2 + 1):
            a, b = layers[small][:, None], layers[new - 1 - small][None, :]
            for values in (a & b, a | b, a ^ b):  # a layer holds the complements too
                fresh = np.unique(values)
                sizes[fresh[sizes[fresh] < 0]] = new
        layers.append(np.flatnonzero(sizes == new))
    return sizes
