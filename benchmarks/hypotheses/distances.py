"""Distances between Boolean functions of three bits: as functions, and as programs in three ways."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.programs.boolean.conditional import conditional_sizes
from allroads.programs.boolean.edit_distance import edit_distance
from allroads.programs.boolean.exact import exact_formula, exact_sizes
from allroads.programs.boolean.normal_form import normal_form, sub_formulas

BITS = 3
ALL = 1 << (1 << BITS)
SIZES = exact_sizes(BITS)
HAMMING = np.array([[(a ^ b).bit_count() for b in range(ALL)] for a in range(ALL)], float)
GATES_TO_ADD = conditional_sizes(BITS).astype(float)


@cache
def formulas() -> list:
    """A shortest formula of each function, in normal form."""
    return [normal_form(exact_formula(table, BITS)) for table in range(ALL)]


@cache
def parts() -> tuple[frozenset[str], ...]:
    """The gates of each formula, up to negation."""
    return tuple(frozenset(map(str, sub_formulas(formula))) for formula in formulas())


@cache
def edits() -> np.ndarray:
    """Tree edit distance of the formulas, where negating the output is one edit, ``[256, 256]``."""
    found = np.zeros((ALL, ALL))
    trees = formulas()
    for a in range(ALL):
        for b in range(a):
            found[a, b] = found[b, a] = edit_distance(trees[a], trees[b])
    turned = 1 + np.minimum(found[:, ::-1], found[::-1, :])  # the complement of table t is 255 - t
    both = np.minimum(found, turned)
    np.fill_diagonal(both, 0)
    return both


@cache
def parts_not_shared() -> np.ndarray:
    """One minus the Jaccard index of the parts, ``[256, 256]``."""
    held = parts()
    return np.array([[1 - len(a & b) / len(a | b) for b in held] for a in held])


@cache
def overlaps() -> dict[str, np.ndarray]:
    """Correlation of two functions, as signs, on the monomials of each degree, ``[256, 256]``; their sum is 1 − H/4.

    A wide network at its start, and a kernel that is the same for all inputs of a cube, tell functions apart by these.
    """
    rows = np.arange(1 << BITS)
    signs = 1.0 - 2 * (np.arange(ALL)[:, None] >> rows & 1)
    monomials = np.array([[(-1.0) ** (s & r).bit_count() for r in rows.tolist()] for s in rows.tolist()])
    walsh = signs @ monomials.T / len(rows)
    degree = np.array([s.bit_count() for s in rows.tolist()])
    return {f"overlap of degree {k}": walsh[:, degree == k] @ walsh[:, degree == k].T for k in range(BITS + 1)}
