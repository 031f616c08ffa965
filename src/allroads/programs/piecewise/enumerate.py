"""Enumeration of integer terms, shortest first, one for each list of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
        >>> levels = grown(([Term("x"), Term("s")], np.array([x, s])), 1, ("-",))
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


def _steps_of_one(atoms: Known, heads: Sequence[str]) -> Iterator[_Part]:
    yield atoms[0].__getitem__, atoms[1]
    if "abs" in heads:
        yield _absolute(atoms)


_Part = tuple[Callable[[int], Term], np.ndarray]
"""Values ``[count, P]``, and the term of each row, made when it is asked for."""


def _absolute(level: Known) -> _Part:
    return lambda k: Term("abs", (level[0][k],)), np.abs(level[1])


def _pairs(left: Known, right: Known, heads: Sequence[str]) -> Iterator[_Part]:
    for head in heads:
        if head != "abs":
            values = VALUES[head](left[1][:, None], right[1][None]).astype(np.int64).reshape(-1, left[1].shape[1])
            yield _maker(head, left[0], right[0]), values


def _maker(head: str, left: Sequence[Term], right: Sequence[Term]) -> Callable[[int], Term]:
    return lambda k: Term(head, (left[k // len(right)], right[k % len(right)]))


def _kept(parts: Sequence[_Part], seen: set[bytes], most: int) -> Known:
    """Terms whose values are new and not large."""
    terms: list[Term] = []
    rows: list[np.ndarray] = []
    width = parts[0][1].shape[1] if parts else 0
    for make, values in parts:
        for k in np.flatnonzero(np.abs(values).max(axis=1, initial=0) < LARGEST):
            key = values[k].tobytes()
            if key not in seen:
                if len(terms) == most:
                    break
                seen.add(key)
                terms.append(make(int(k)))
                rows.append(values[k])
    return terms, np.array(rows, np.int64).reshape(len(rows), width)


def _joined(a: Known, b: Known) -> Known:
    return [*a[0], *b[0]], np.concatenate([a[1], b[1]])
