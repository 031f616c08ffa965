"""Boolean functions by name: each rule gives a table from the bits of all rows.

Row r has bit i equal to ``(r >> i) & 1``; a rule gets booleans ``[2^n, n]`` and gives booleans ``[2^n]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from allroads.errors import InputError
from allroads.targets.checks import boolean, generator, integer, numbers

Bits = Bool[np.ndarray, "rows bits"]
Table = Bool[np.ndarray, " rows"]


def all_bits(bits: int) -> Bits:
    """Every row of n bits, booleans ``[2^n, n]``, x0 least significant.

    Example:
        >>> all_bits(2).astype(int).tolist()
        [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    return (np.arange(2**bits)[:, None] >> np.arange(bits) & 1).astype(bool)


def parity(rows: Bits, k: int | None = None, variables: Sequence[int] | None = None) -> Table:
    """1 where an odd number of the chosen bits is 1: ``χ_S``.

    Example:
        >>> parity(all_bits(2)).astype(int).tolist()
        [0, 1, 1, 0]
    """
    table: np.ndarray = _chosen(rows, k, variables).sum(axis=1) % 2 == 1
    return table


def majority(rows: Bits, k: int | None = None, variables: Sequence[int] | None = None) -> Table:
    """1 where more than half of the chosen bits are 1; their number must be odd.

    Example:
        >>> majority(all_bits(3)).astype(int).tolist()
        [0, 0, 0, 1, 0, 1, 1, 1]
    """
    chosen = _chosen(rows, k, variables)
    if chosen.shape[1] % 2 == 0:
        raise InputError(f"majority of {chosen.shape[1]} bits has ties; choose an odd number k of bits.")
    table: np.ndarray = 2 * chosen.sum(axis=1) > chosen.shape[1]
    return table


def conjunction(rows: Bits, k: int | None = None, variables: Sequence[int] | None = None) -> Table:
    """1 where all chosen bits are 1.

    Example:
        >>> conjunction(all_bits(2)).astype(int).tolist()
        [0, 0, 0, 1]
    """
    table: np.ndarray = np.all(_chosen(rows, k, variables), axis=1)
    return table


def disjunction(rows: Bits, k: int | None = None, variables: Sequence[int] | None = None) -> Table:
    """1 where any chosen bit is 1.

    Example:
        >>> disjunction(all_bits(2)).astype(int).tolist()
        [0, 1, 1, 1]
    """
    table: np.ndarray = np.any(_chosen(rows, k, variables), axis=1)
    return table


def staircase(rows: Bits, k: int | None = None, variables: Sequence[int] | None = None) -> Table:
    """The sign of ``x0 + x0·x1 + … + x0⋯x_{k−1}`` in signs; k must be odd, so that it is never 0.

    The sum itself is the target ``monomials = [[0], [0, 1], …]``.

    Example:
        >>> staircase(all_bits(1)).astype(int).tolist()
        [0, 1]
    """
    chosen = _chosen(rows, k, variables)
    if chosen.shape[1] % 2 == 0:
        raise InputError(f"a staircase of {chosen.shape[1]} steps can be 0; choose an odd number k of steps.")
    table: np.ndarray = np.cumprod(1 - 2 * chosen.astype(int), axis=1).sum(axis=1) < 0
    return table


def multiplexer(rows: Bits, address: int = 2) -> Table:
    """The data bit ``x_{address + a}`` that the first ``address`` bits select, ``a = Σ_{i<address} x_i 2^i``.

    Example:
        >>> multiplexer(all_bits(3), address=1).astype(int).tolist()  # x2 if x0 else x1
        [0, 0, 1, 0, 0, 1, 1, 1]
    """
    bits = rows.shape[1]
    integer("address", address, 1)
    if address + 2**address > bits:
        raise InputError(f"a multiplexer with {address} address bits needs {address + 2**address} bits, got {bits}.")
    selected = rows[:, :address] @ (1 << np.arange(address))
    table: np.ndarray = rows[np.arange(len(rows)), address + selected]
    return table


def linear_threshold(
    rows: Bits,
    weights: Sequence[float] | np.ndarray | None = None,
    threshold: float | None = None,
    function_seed: int = 0,
) -> Table:
    """1 where ``Σ w_i b_i > threshold`` over bits b.

    Default weights are standard normal, the default threshold is half their sum.

    Example:
        >>> linear_threshold(all_bits(2), weights=[2, 1], threshold=1.5).astype(int).tolist()
        [0, 1, 0, 1]
    """
    bits = rows.shape[1]
    if weights is None:
        weights = generator(function_seed, "linear threshold").standard_normal((bits,))
    w = numbers("weights", weights).astype(float)
    if w.shape != (bits,):
        raise InputError(f"a linear threshold of {bits} bits needs {bits} weights, got {w.size}.")
    table: np.ndarray = rows @ w > (w.sum() / 2 if threshold is None else numbers("threshold", threshold).item())
    return table


def junta(rows: Bits, k: int = 3, function_seed: int = 0) -> Table:
    """A random balanced function of k random variables that depends on every one of them.

    Example:
        >>> table = junta(all_bits(4), k=2)
        >>> int(table.sum())
        8
    """
    bits = rows.shape[1]
    integer("k", k, 1, bits)
    rng = generator(function_seed, "junta")
    chosen = rows[:, np.sort(rng.choice(bits, size=k, replace=False))]
    index = np.arange(2**k)
    while True:
        table: np.ndarray = rng.permutation(index) % 2 == 1
        if all((table != table[index ^ (1 << i)]).any() for i in range(k)):
            whole: np.ndarray = table[chosen @ (1 << np.arange(k))]
            return whole


def random(rows: Bits, balanced: bool = True, function_seed: int = 0) -> Table:
    """A random table, by default with as many ones as zeros.

    Example:
        >>> int(random(all_bits(4)).sum())
        8
    """
    rng = generator(function_seed, "random")
    if boolean("balanced", balanced):
        numbered: np.ndarray = rng.permutation(len(rows)) % 2
    else:
        numbered = rng.integers(2, size=len(rows))
    table: np.ndarray = numbered == 1
    return table


def _chosen(rows: Bits, k: int | None, variables: Sequence[int] | None) -> Bool[np.ndarray, "rows chosen"]:
    """The columns of the chosen variables: those named, or the first k, or all."""
    bits = rows.shape[1]
    if variables is None:
        return rows[:, : bits if k is None else integer("k", k, 1, bits)]
    if k is not None:
        raise InputError("both k and variables are given; keep one.")
    chosen = [integer("variables", v, 0, bits - 1) for v in variables]
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"variables {chosen} must name at least one bit and none twice.")
    return rows[:, chosen]


RULES: dict[str, Callable[..., Any]] = {
    "and": conjunction,
    "junta": junta,
    "linear_threshold": linear_threshold,
    "majority": majority,
    "mux": multiplexer,
    "or": disjunction,
    "parity": parity,
    "random": random,
    "staircase": staircase,
}
