"""Enumeration of integer terms, shortest first, one for each list of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from allroads.programs.piecewise.term import SYMMETRIC, VALUES, Term

LARGEST = 2**40
BINARY = ("+", "-", "min", "max")

Known = tuple[list[Term], np.ndarray]
"""Terms and their values ``[count, P]``."""


def grown(atoms: Known, leaves: int, heads: Sequence[str] = (*BINARY, "abs"), most: int = 2000) -> list[Known]:
    """All terms of at most so many leaves over atoms, by observational equivalence.

    Of terms with equal values at all points one is kept, the first with the fewest leaves.

    Args:
        atoms: Variables and numbers with their values.
        leaves: Most leaves.
        heads: Operations.
        most: Most terms kept of one number of leaves.

    Returns:
        One level per number of leaves.

    Example:
        >>> levels = grown(([Term("x")], np.array([[-1, 0, 2]])), 1)
        >>> [str(term) for term in levels[0][0]]
        ['x', 'abs(x)']
    """
    seen: set[bytes] = set()
    levels = [_kept([*_steps_of_one(atoms, heads)], seen, most)]
    for count in range(2, leaves + 1):
        parts = [part for i in range(1, count) for part in _pairs(levels[i - 1], levels[count - i - 1], heads)]
        level = _kept(parts, seen, most)
        if "abs" in heads:
            level = _joined(level, _kept([_absolute(level)], seen, most))
        levels.append(level)
    return levels


def matches(levels: Sequence[Known], target: np.ndarray, leaves: int, heads: Sequence[str]) -> Iterator[Term]:
    """Terms of at most so many leaves that take given values, the last number of leaves not stored.

    Args:
        levels: What :func:`grown` gives, up to ``leaves − 1`` or more.
        target: Values ``[P]``.
        leaves: Most leaves.
        heads: Operations.

    Example:
        >>> x, s = np.array([3, -1, 0]), np.array([1, 5, -2])
        >>> levels = grown(([Term("x"), Term("s")], np.array([x, s])), 1)
        >>> [str(term) for term in matches(levels, np.abs(x - s), 2, ("-", "abs"))]
        ['abs(x - s)', 'abs(s - x)']
    """
    for terms, values in levels[:leaves]:
        for k in np.flatnonzero((values == target).all(axis=1)):
            yield terms[k]
    if leaves <= len(levels):
        return
    few = np.unique(np.linspace(0, len(target) - 1, min(len(target), 12)).astype(int))
    for i in range(1, leaves):
        (ours, a), (theirs, b) = levels[i - 1], levels[leaves - i - 1]
        for head in heads:
            if head == "abs" or (head in SYMMETRIC and i > leaves - i):
                continue
            for start in range(0, len(a), 512):
                some = VALUES[head](a[start : start + 512, None, few], b[None, :, few]).astype(np.int64)
                for sized, wrap in ((some, False), (np.abs(some), True)) if "abs" in heads else ((some, False),):
                    rows, columns = np.nonzero((sized == target[few]).all(axis=2))
                    for r, c in zip(rows[:64], columns[:64], strict=True):
                        result = VALUES[head](a[start + r], b[c])
                        if wrap and np.array_equal(result, target):
                            continue
                        if np.array_equal(np.abs(result) if wrap else result, target):
                            made = Term(head, (ours[start + r], theirs[c]))
                            yield Term("abs", (made,)) if wrap else made


def _steps_of_one(atoms: Known, heads: Sequence[str]) -> Iterator[Known]:
    yield atoms
    if "abs" in heads:
        yield _absolute(atoms)


def _absolute(level: Known) -> Known:
    return [Term("abs", (term,)) for term in level[0]], np.abs(level[1])


def _pairs(left: Known, right: Known, heads: Sequence[str]) -> Iterator[Known]:
    for head in heads:
        if head == "abs":
            continue
        values = VALUES[head](left[1][:, None], right[1][None]).astype(np.int64).reshape(-1, left[1].shape[1])
        yield [Term(head, (a, b)) for a in left[0] for b in right[0]], values


def _kept(parts: Sequence[Known], seen: set[bytes], most: int) -> Known:
    """Terms whose values are new and not large."""
    terms: list[Term] = []
    rows: list[np.ndarray] = []
    width = parts[0][1].shape[1] if parts else 0
    for some, values in parts:
        for term, row, large in zip(some, values, np.abs(values).max(axis=1, initial=0), strict=True):
            key = row.tobytes()
            if key not in seen and large < LARGEST and len(terms) < most:
                seen.add(key)
                terms.append(term)
                rows.append(row)
    return terms, np.array(rows, np.int64).reshape(len(rows), width)


def _joined(a: Known, b: Known) -> Known:
    return [*a[0], *b[0]], np.concatenate([a[1], b[1]])
