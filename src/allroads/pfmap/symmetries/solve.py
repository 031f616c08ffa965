"""Linear equations, solved over the rationals and modulo 2."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

Unknown = TypeVar("Unknown", bound=Hashable)


def null_space(
    rows: Iterable[Mapping[Unknown, Fraction]], unknowns: Sequence[Unknown], modulus: int | None
) -> list[dict[Unknown, int]]:
    """A basis of what solves all equations ``Σ coefficient · unknown = 0``, in whole numbers.

    Args:
        rows: The equations; unknowns that they name beside ``unknowns`` are eliminated.
        unknowns: Those of which the solutions are asked for.
        modulus: ``None`` for the rationals, 2 for signs.

    Returns:
        Solutions ``unknown → value ≠ 0``, reduced: each is the only one with a value at its first unknown.

    Example:
        >>> null_space([{"in": Fraction(1), "out": Fraction(1)}], ["in", "out"], None)
        [{'in': 1, 'out': -1}]
        >>> null_space([{"in": Fraction(1), "out": Fraction(1)}], ["in", "out"], 2)
        [{'in': 1, 'out': 1}]
    """
    distinct = {frozenset(row.items()) for row in rows}
    names = list(dict.fromkeys([*unknowns, *(name for row in distinct for name, _ in sorted(row, key=repr))]))
    column = {name: at for at, name in enumerate(names)}
    matrix = [[Fraction(0)] * len(names) for _ in distinct]
    for line, terms in zip(matrix, sorted(distinct, key=lambda r: sorted(map(repr, r))), strict=True):
        for name, value in terms:
            line[column[name]] = _reduced(value, modulus)
    pivots = _eliminate(matrix, modulus)
    free = [at for at in range(len(names)) if at not in pivots]
    basis = []
    for at in free:
        solution = [Fraction(int(k == at)) for k in range(len(names))]
        for pivot, number in pivots.items():
            solution[pivot] = _reduced(-matrix[number][at], modulus)
        basis.append(solution[: len(unknowns)])
    pivots = _eliminate(basis, modulus)
    return [_whole(dict(zip(unknowns, basis[number], strict=True))) for number in pivots.values()]


def _reduced(value: Fraction, modulus: int | None) -> Fraction:
    return value if modulus is None else Fraction(value.numerator * pow(value.denominator, -1, modulus) % modulus)


def _eliminate(matrix: list[list[Fraction]], modulus: int | None) -> dict[int, int]:
    """Bring a matrix to reduced row echelon form in place; column → row of each pivot."""
    pivots: dict[int, int] = {}
    for at in range(len(matrix[0]) if matrix else 0):
        row = next((r for r in range(len(pivots), len(matrix)) if matrix[r][at]), None)
        if row is None:
            continue
        here = len(pivots)
        matrix[here], matrix[row] = matrix[row], matrix[here]
        lead = matrix[here][at]
        matrix[here] = [_reduced(v / lead, modulus) for v in matrix[here]]
        for other in range(len(matrix)):
            if other != here and (by := matrix[other][at]):
                matrix[other] = [
                    _reduced(v - by * w, modulus) for v, w in zip(matrix[other], matrix[here], strict=True)
                ]
        pivots[at] = here
    return pivots


def _whole(solution: dict[Unknown, Fraction]) -> dict[Unknown, int]:
    """A rational solution times the least number that makes it integral."""
    by = math.lcm(*(value.denominator for value in solution.values()))
    return {name: int(value * by) for name, value in solution.items() if value}


def in_span(vector: Mapping[Unknown, int], basis: Sequence[Mapping[Unknown, int]], modulus: int | None) -> bool:
    """Whether a solution is a combination of others.

    Example:
        >>> in_span({"q": 1, "k": -1}, [{"q": 1}, {"k": 1}], None)
        True
    """
    names = list(dict.fromkeys(name for row in [*basis, vector] for name in row))
    lines = [[_reduced(Fraction(row.get(name, 0)), modulus) for name in names] for row in basis]
    rank = len(_eliminate(lines, modulus))
    lines = [*lines[:rank], [_reduced(Fraction(vector.get(name, 0)), modulus) for name in names]]
    return len(_eliminate(lines, modulus)) == rank
