"""Enumeration of integer expressions, shortest first, one for each list of values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.expression import OPERATIONS, SYMMETRIC, Expression, combine

POINTS = 48
"""Points at which expressions are told apart; one that fits there is tried at all others."""

KEPT = 4000
"""Most expressions of one number of leaves that are built upon."""

LARGEST = 2**20


@dataclass(frozen=True, eq=False)
class _Level:
    """Expressions of one number of leaves, with their values ``[count, P]``."""

    expressions: list[Expression]
    values: np.ndarray


def shortest_expressions(
    points: Mapping[str, np.ndarray], targets: Sequence[np.ndarray], constants: Sequence[int], leaves: int = 3
) -> list[Expression | None]:
    """The shortest expressions that take given values, by bottom-up enumeration with observational equivalence.

    Expressions grow by their number of leaves; of those with equal values at all points one is kept. The last number
    of leaves is compared and not kept. Sums of several variables with coefficients −1, 1 and 2 under one last
    operation are tried besides.

    Args:
        points: Values ``[P]`` of each variable.
        targets: Lists of values ``[P]``.
        constants: Numbers that may stand in an expression.
        leaves: Most leaves.

    Returns:
        One expression per target, ``None`` where none was found. The shortest in bits among those with the fewest
        leaves is taken.

    Example:
        >>> s, x = (grid.ravel() for grid in np.meshgrid(np.arange(7), np.arange(2)))
        >>> [str(e) for e in shortest_expressions({"s": s, "x": x}, [(2 * s + x) % 7], (1, 2, 7), leaves=4)]
        ['(2 * s + x) % 7']
    """
    if not targets:
        return []
    names = list(points)
    size = len(targets[0])
    chosen = np.unique(np.linspace(0, size - 1, min(size, POINTS)).astype(int))
    wanted = np.array([np.asarray(t)[chosen] for t in targets], np.int64)
    found: list[Expression | None] = [None] * len(targets)

    def fits(expression: Expression, target: np.ndarray) -> bool:
        return np.array_equal(np.broadcast_to(expression.values(points), size), target)

    def offer(candidates: Iterator[tuple[int, Expression]]) -> None:
        best: dict[int, Expression] = {}
        for which, expression in candidates:
            shorter = which not in best or expression.bits(len(names)) < best[which].bits(len(names))
            if found[which] is None and shorter and fits(expression, targets[which]):
                best[which] = expression
        for which, expression in best.items():
            found[which] = expression

    atoms = [Expression(name) for name in names] + [Expression(c) for c in dict.fromkeys(constants)]
    first = np.array([np.broadcast_to(a.values(points), size)[chosen] for a in atoms], np.int64).reshape(len(atoms), -1)
    levels = {1: _distinct(_Level(atoms, first), set())}
    seen = {row.tobytes() for row in levels[1].values}
    offer(_hits(levels[1], wanted))
    for count in range(2, leaves + 1):
        if all(e is not None for e in found):
            return found
        last = count == leaves
        grown: list[Expression] = []
        values: list[np.ndarray] = []
        hits: list[tuple[int, Expression]] = []
        for left in range(1, count):
            a, b = levels[left], levels[count - left]
            for head in OPERATIONS:
                if head in SYMMETRIC and left > count - left:
                    continue
                for rows, columns, result in _applied(head, a.values, b.values):
                    for which, target in enumerate(wanted):
                        if found[which] is None:
                            for k in np.flatnonzero((result == target).all(axis=1))[:8]:
                                pair = a.expressions[rows[k]], b.expressions[columns[k]]
                                hits.append((which, combine(head, *pair)))
                    if last:
                        continue
                    for k, row in enumerate(result):
                        key = row.tobytes()
                        if key not in seen and len(grown) < KEPT:
                            seen.add(key)
                            grown.append(combine(head, a.expressions[rows[k]], b.expressions[columns[k]]))
                            values.append(row)
        offer(iter(hits))
        if not last:
            levels[count] = _Level(grown, np.array(values, np.int64).reshape(len(grown), first.shape[1]))
    if any(e is None for e in found):
        offer(_sums(points, names, [c for c in constants if c > 0], wanted, chosen, found))
    return found


def _hits(level: _Level, wanted: np.ndarray) -> Iterator[tuple[int, Expression]]:
    for which, target in enumerate(wanted):
        for k in np.flatnonzero((level.values == target).all(axis=1)):
            yield which, level.expressions[k]


def _distinct(level: _Level, seen: set[bytes]) -> _Level:
    keep = []
    for k, row in enumerate(level.values):
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            keep.append(k)
    return _Level([level.expressions[k] for k in keep], level.values[keep])


def _applied(head: str, a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One operation on all pairs of rows: the rows, and the values of the pairs that are defined and not large."""
    if head in ("//", "%"):
        fit_a, fit_b = np.arange(len(a)), np.flatnonzero((b > 0).all(axis=1))
    elif head in "|^&":
        fit_a, fit_b = np.flatnonzero((a >= 0).all(axis=1)), np.flatnonzero((b >= 0).all(axis=1))
    else:
        fit_a, fit_b = np.arange(len(a)), np.arange(len(b))
    if not len(fit_a) or not len(fit_b):
        return
    chunk = max(1, 2**21 // (len(fit_b) * a.shape[1]))
    for start in range(0, len(fit_a), chunk):
        some = fit_a[start : start + chunk]
        result = OPERATIONS[head][1](a[some][:, None], b[fit_b][None]).astype(np.int64).reshape(-1, a.shape[1])
        rows, columns = np.repeat(some, len(fit_b)), np.tile(fit_b, len(some))
        fine = np.flatnonzero((np.abs(result) < LARGEST).all(axis=1))
        yield rows[fine], columns[fine], result[fine]


def _sums(
    points: Mapping[str, np.ndarray],
    names: Sequence[str],
    constants: Sequence[int],
    wanted: np.ndarray,
    chosen: np.ndarray,
    found: Sequence[Expression | None],
) -> Iterator[tuple[int, Expression]]:
    """Sums of at most six variables, as they are and under one last operation with a number."""
    if len(names) > 6:
        return
    values = np.array([np.broadcast_to(points[name], np.shape(points[names[0]]))[chosen] for name in names], np.int64)
    coefficients = np.array([c for c in itertools.product((1, 0, 2, -1), repeat=len(names)) if max(c) > 0])
    sums = coefficients @ values
    tried = [("", 0, sums)] + [
        (head, c, np.asarray(OPERATIONS[head][1](sums, c), np.int64))
        for head in ("%", "//", "==", "!=", "<", "min", "max")
        for c in dict.fromkeys((*constants, *((0,) if head in ("==", "!=", "max") else ())))
    ]
    for head, c, result in tried:
        for which, target in enumerate(wanted):
            if found[which] is None:
                for k in np.flatnonzero((result == target).all(axis=1))[:8]:
                    total = _sum(names, coefficients[k].tolist())
                    yield which, Expression(head, total, Expression(c)) if head else total


def _sum(names: Sequence[str], coefficients: Sequence[int]) -> Expression:
    total: Expression | None = None
    for name, c in sorted(zip(names, coefficients, strict=True), key=lambda pair: -pair[1]):
        if not c:
            continue
        term = combine("*", Expression(2), Expression(name)) if c == 2 else Expression(name)
        total = term if total is None else Expression("-" if c < 0 else "+", total, term)
    assert total is not None  # one coefficient is positive
    return total
