"""Formula length: the fewest two-input gates of a formula, a tree in which no result is used twice."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.errors import UnknownNameError
from allroads.points.complexity.symmetries import all_codes, npn_classes, variables

BASES = ("and_or", "any")


@cache
def formula_lengths(bits: int, basis: str) -> np.ndarray:
    """Exact formula length of every function of n ≤ 4 bits.

    The length is the number of two-input gates. Constants and variables, negated or not, cost nothing. Bases:
    ``"and_or"`` (AND and OR of literals; one less than the number of literals) and ``"any"`` (all gates of two inputs,
    in effect AND, OR and XOR with negations free).

    By length: a function has length s if it is ``g ∘ h`` with lengths that add up to s − 1, and none shorter. Length
    is the same within a class of :func:`~allroads.points.complexity.symmetries.npn_classes`, for ``"and_or"`` by De
    Morgan's rules, so only one g of a class is joined with every h, and OR follows from AND.

    Args:
        bits: n, at most 4.
        basis: ``"and_or"`` or ``"any"``.

    Returns:
        Lengths ``[2^(2^n)]`` at the position of each function's code. At most 15 for ``"and_or"`` and 7 for ``"any"``
        at n = 4.

    Raises:
        UnknownNameError: If there is no such basis.

    References: [knuth2011]

    Example:
        Parity of two bits, ``0110``, in either basis; functions of two bits by length.

        >>> [int(formula_lengths(2, basis)[0b0110]) for basis in BASES]
        [3, 1]
        >>> np.bincount(formula_lengths(2, "and_or")).tolist()
        [6, 8, 0, 2]
    """
    if basis not in BASES:
        raise UnknownNameError("basis", basis, BASES)
    codes = all_codes(bits)
    classes, representatives = npn_classes(bits)
    length = np.full(len(representatives), -1)
    length[classes[[0, *variables(bits)]]] = 0
    by_length = [codes[length[classes] == 0]]
    while (length < 0).any():
        new = len(by_length)
        found = np.zeros(len(length), dtype=bool)
        for g, short in zip(representatives, length, strict=True):
            if 0 <= short <= (new - 1) // 2:
                partners = by_length[new - 1 - short]
                found[classes[g & partners]] = True
                found[classes[(g ^ codes[-1]) & partners]] = True
                if basis == "any":
                    found[classes[g ^ partners]] = True
        length[found & (length < 0)] = new
        by_length.append(codes[length[classes] == new])
    by_table: np.ndarray = length[classes]
    return by_table
