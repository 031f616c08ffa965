"""Walsh spectrum of a Boolean function and what follows from it.

Conventions, everywhere in allroads. Row r of a table over n bits has bit i equal to ``(r >> i) & 1``: x0 is
the least significant. A bit b stands for the sign ``(−1)^b``: 0 is +1 and 1 is −1, for inputs and outputs
alike, so that XOR becomes the product. The character of a set S of variables, coded as the number ``Σ_{i∈S}
2^i``, is ``χ_S(x) = Π_{i∈S} x_i``, and ``f̂(S) = E[f χ_S]`` over uniform inputs, so ``f = Σ_S f̂(S) χ_S``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.errors import InputError

_ZERO = 1e-12
"""A coefficient below this share of the largest one counts as 0 (those of a Boolean function are exact)."""


def walsh(values: np.ndarray) -> np.ndarray:
    """Walsh coefficients of a real function of n bits, by the fast transform in n·2^n additions.

    Args:
        values: The table ``[2^n]`` (signs for a Boolean function).

    Returns:
        Coefficients ``[2^n]``, at the position that codes their set.

    Raises:
        InputError: If the length is no power of two.

    References: [odonnell2014]

    Example:
        >>> walsh(np.array([1, -1, -1, 1])).tolist()  # parity of two bits
        [0.0, 0.0, 0.0, 1.0]
    """
    size = len(values)
    if size < 1 or size & (size - 1):
        raise InputError(f"a truth table has 2^n entries, got {size}; give one entry for every row.")
    spectrum = np.asarray(values, dtype=np.float64).copy()
    half = 1
    while half < size:
        pairs = spectrum.reshape(-1, 2, half)
        spectrum = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        half *= 2
    return spectrum / size


def support(coefficients: np.ndarray) -> np.ndarray:
    """The sets whose coefficient is not 0, coded as numbers, ascending.

    Example:
        >>> support(np.array([0.0, 0.5, 0.0, -0.5])).tolist()
        [1, 3]
    """
    size = np.abs(coefficients)
    return np.flatnonzero(size > _ZERO * size.max())


def degree(coefficients: np.ndarray) -> int:
    """Size of the largest set whose coefficient is not 0: ``deg f``.

    Example:
        >>> degree(walsh(np.array([1, 1, 1, -1])))  # and of two bits
        2
    """
    return int(np.bitwise_count(support(coefficients)).max(initial=0))


def total_influence(coefficients: np.ndarray) -> float:
    """Total influence ``Σ_S |S| f̂(S)²``; for a Boolean function its average sensitivity.

    Example:
        >>> total_influence(walsh(np.array([1, -1, -1, 1])))
        2.0
    """
    return float((np.bitwise_count(np.arange(len(coefficients))) * coefficients**2).sum())


def noise_stability(coefficients: np.ndarray, rho: float) -> float:
    """Noise stability ``Stab_ρ(f) = Σ_S ρ^{|S|} f̂(S)²``: the mean of f(x)f(y) over ρ-correlated x, y.

    Args:
        coefficients: Walsh coefficients ``[2^n]``.
        rho: Correlation of each bit of x with that of y, in −1 … 1.

    Raises:
        InputError: If ``rho`` lies outside.

    References: [odonnell2014]

    Example:
        >>> noise_stability(walsh(np.array([1, -1, -1, 1])), 0.5)
        0.25
    """
    if not -1 <= rho <= 1:
        raise InputError(f"rho is a correlation in −1 … 1, got {rho}.")
    return float((float(rho) ** np.bitwise_count(np.arange(len(coefficients))) * coefficients**2).sum())


def sensitivities(table: np.ndarray) -> np.ndarray:
    """How many single bit flips change the value, for each row of a table ``[2^n]``.

    Example:
        >>> sensitivities(np.array([0, 0, 0, 1])).tolist()
        [0, 1, 1, 2]
    """
    rows = np.arange(len(table))
    changes = [table != table[rows ^ (1 << i)] for i in range(len(table).bit_length() - 1)]
    return np.sum(changes, axis=0) if changes else np.zeros(1, dtype=int)


def leap(sets: np.ndarray) -> int:
    """Leap of a function from the sets of its nonzero coefficients, coded as numbers.

    The smallest, over all orders of the sets, of the most new variables that one set brings at its turn.
    Taking a set with the fewest new variables each time attains it: what is covered only grows, and a set
    that brings few new variables brings no more of them later. The empty set does not count.

    References: [abbe2023]

    Example:
        >>> leap(np.array([0b001, 0b011, 0b111])), leap(np.array([0b001, 0b110]))
        (1, 2)
    """
    sets = np.asarray(sets, dtype=np.int64)
    covered, largest = 0, 0
    while (sets := sets[(sets & ~covered) != 0]).size:
        new = np.bitwise_count(sets & ~covered)
        largest = max(largest, int(new.min()))
        covered |= int(sets[new.argmin()])
    return largest


def truth_of(values: np.ndarray, cap: int = 64) -> dict[str, Any]:
    """What the theory says about a real function of n bits with table ``values`` ``[2^n]``, JSON-able.

    Args:
        values: The table; signs where the function is Boolean.
        cap: Most coefficients that are listed, the largest in absolute value first.

    Returns:
        ``bits``, ``mean`` (f̂(∅)), ``degree``, ``leap``, ``l1`` (``Σ|f̂|``), ``average_sensitivity`` (total
        influence), ``nonzero`` (number of coefficients) and ``spectrum`` (``[[variables], coefficient]``
        pairs, with ``spectrum_complete``); for a Boolean function also ``balance`` (share of ones) and
        ``max_sensitivity``.

    Example:
        >>> truth = truth_of(np.array([1, -1, -1, 1]))
        >>> truth["spectrum"], truth["max_sensitivity"], truth["balance"]
        ([[[0, 1], 1.0]], 2, 0.5)
    """
    coefficients = walsh(values)
    sets = support(coefficients)
    order = sets[np.argsort(-np.abs(coefficients[sets]), kind="stable")][:cap]
    bits = len(values).bit_length() - 1
    truth: dict[str, Any] = {
        "bits": bits,
        "mean": float(coefficients[0]),
        "degree": degree(coefficients),
        "leap": leap(sets),
        "l1": float(np.abs(coefficients).sum()),
        "average_sensitivity": total_influence(coefficients),
        "nonzero": len(sets),
        "spectrum": [[[i for i in range(bits) if s >> i & 1], float(coefficients[s])] for s in order.tolist()],
        "spectrum_complete": len(sets) <= cap,
    }
    if np.isin(values, (-1, 1)).all():
        truth |= {
            "balance": float(np.mean(values == -1)),
            "max_sensitivity": int(sensitivities(values).max()),
        }
    return truth
