"""Several measures of the complexity of one Boolean function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.points.complexity.circuits import circuit_sizes
from allroads.points.complexity.formulas import formula_lengths
from allroads.points.complexity.lz76 import lz76
from allroads.points.complexity.normal_forms import dnf_terms
from allroads.points.complexity.symmetries import MOST_BITS
from allroads.targets.walsh import degree, sensitivities, total_influence, walsh

_LONGEST_LZ76 = 16
_LONGEST = 20


@dataclass(frozen=True)
class Complexity:
    """What several measures say about one Boolean function; they disagree, and none of them is *the* simplicity.

    A measure that was not computed is ``None``, and ``missing`` says why.

    Args:
        bits: Number n of input bits.
        formula_and_or: Exact gates of the shortest formula of AND and OR over literals.
        formula_any: Exact gates of the shortest formula of any two-input gates, negation free.
        circuit_size: Exact gates of the smallest circuit of any two-input gates, negation free.
        dnf_terms: Exact terms of the shortest disjunctive normal form.
        walsh_degree: Size of the largest set of bits with a Walsh coefficient other than 0.
        walsh_l1: ``Σ_S |f̂(S)|`` of the function with values ±1.
        total_influence: ``Σ_S |S| f̂(S)²``, which is the average sensitivity: how many single bit flips change the
            value, mean over inputs.
        max_sensitivity: The same, largest over inputs.
        lz76: Lempel–Ziv complexity of the table, row 0 first; depends on the order of the bits.
        entropy: ``−p log₂ p − (1−p) log₂(1−p)`` of the share p of ones, in bits an entry.
        missing: Why a measure is ``None``, by its name.
    """

    bits: int
    formula_and_or: int | None
    formula_any: int | None
    circuit_size: int | None
    dnf_terms: int | None
    walsh_degree: int
    walsh_l1: float
    total_influence: float
    max_sensitivity: int
    lz76: float | None
    entropy: float
    missing: Mapping[str, str]


def complexity(truth_table: str | Sequence[int] | np.ndarray) -> Complexity:
    """Several measures of the complexity of one Boolean function.

    Up to 4 bits every measure is exact, read from tables of all functions that the first call builds in about a second.
    Beyond, formulas, circuits and normal forms are ``None``: their minimum is not known to be within reach.

    Args:
        truth_table: ``2^n`` zeros and ones for 1 ≤ n ≤ 20, row 0 first, as ``"0110"`` or ``[0, 1, 1, 0]``. Row r is the
            input whose bit i is ``(r >> i) & 1``, as in Boolean targets.

    Returns:
        A :class:`Complexity`.

    Raises:
        InputError: If the table has another length or other entries.

    References: [odonnell2014, knuth2011, wolfram2002, dingle2018]

    Example:
        Parity of three bits: one formula of two gates if XOR is one of them, nine if it is not.

        >>> parity = complexity("01101001")
        >>> parity.formula_any, parity.formula_and_or, parity.circuit_size, parity.dnf_terms
        (2, 9, 2, 4)
        >>> parity.walsh_degree, parity.walsh_l1, parity.total_influence, parity.entropy
        (3, 1.0, 3.0, 1.0)
    """
    table = _read(truth_table)
    bits = len(table).bit_length() - 1
    coefficients = walsh(1.0 - 2.0 * table)
    missing: dict[str, str] = {}
    exact: dict[str, int | None] = dict.fromkeys(("formula_and_or", "formula_any", "circuit_size", "dnf_terms"))
    if bits <= MOST_BITS:
        code = int(table @ (1 << np.arange(len(table))))
        exact["formula_and_or"] = int(formula_lengths(bits, "and_or")[code])
        exact["formula_any"] = int(formula_lengths(bits, "any")[code])
        exact["circuit_size"] = int(circuit_sizes(bits)[code])
        exact["dnf_terms"] = int(dnf_terms(bits)[code])
    else:
        reason = f"exact for at most {MOST_BITS} bits, by tables of all 2^(2^n) functions; this one has {bits}."
        missing |= dict.fromkeys(exact, reason)
    if bits > _LONGEST_LZ76:
        missing["lz76"] = f"parsing takes time quadratic in the table, done for at most {_LONGEST_LZ76} bits."
    return Complexity(
        bits=bits,
        **exact,
        walsh_degree=degree(coefficients),
        walsh_l1=float(np.abs(coefficients).sum()),
        total_influence=total_influence(coefficients),
        max_sensitivity=int(sensitivities(table).max()),
        lz76=None if "lz76" in missing else lz76(table),
        entropy=_entropy(float(table.mean())),
        missing=MappingProxyType(missing),
    )


def _entropy(share: float) -> float:
    return float(sum(p * np.log2(1 / p) for p in (share, 1 - share) if p > 0))


def _read(truth_table: Any) -> np.ndarray:
    """The table as integers ``[2^n]``."""
    entries = [{"0": 0, "1": 1}.get(c, c) for c in truth_table] if isinstance(truth_table, str) else truth_table
    try:
        table = np.asarray(entries)
    except ValueError as error:
        raise InputError(f"truth_table: expected one row of zeros and ones ({error}).") from error
    if table.ndim != 1 or table.dtype.kind not in "biuf" or not np.isin(table, (0, 1)).all():
        raise InputError("truth_table: expected zeros and ones alone, row 0 first, as '0110' or [0, 1, 1, 0].")
    size = len(table)
    if size & (size - 1) or not 2 <= size <= 1 << _LONGEST:
        raise InputError(
            f"truth_table: expected 2^n entries, one for each input of n = 1 … {_LONGEST} bits; got {size}."
        )
    return table.astype(np.int64)
