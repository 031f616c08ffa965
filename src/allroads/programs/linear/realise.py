"""Realisation: the smallest integer state space behind an impulse response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Rows = tuple[tuple[int, ...], ...]
"""A matrix of whole numbers."""


@dataclass(frozen=True)
class StateSpace:
    """Matrices of ``s' = A s + B x``, ``y = C s + D x`` with the first state ``start``; all entries are whole."""

    a: Rows
    b: Rows
    c: Rows
    d: Rows
    start: tuple[int, ...]


def realise(response: Sequence[Sequence[Sequence[int]]], free: Sequence[Sequence[int]]) -> StateSpace | None:
    """Minimal integer realisation of an impulse response, in normal form.

    The columns of the Hankel matrix of H_1, H_2, … and of the free response span a lattice. The shift maps it into
    itself. Its rank n is the least number of states. Its Hermite normal form is the only one of the
    lattice, so equal responses have equal realisations.

    Args:
        response: H_0, H_1, …: responses ``[K, outputs, inputs]`` at lags 0, 1, … to a unit impulse.
        free: Answers ``[K, outputs]`` to the input 0, from the first position on.

    Returns:
        The realisation, or ``None`` where these K terms follow from no state space of fewer than K/2 states.

    When it fails: terms that a short recurrence explains by chance are realised by it; more terms decide.

    References: [ho1966] [rouchaleau1972]

    Example:
        The running sum needs one state:

        >>> realise([[[1]]] * 6, [[0]] * 6)
        StateSpace(a=((1,),), b=((1,),), c=((1,),), d=((1,),), start=(0,))
    """
    outputs, inputs = len(response[0]), len(response[0][0])
    terms = len(response) - 1
    high = (terms + 1) // 2  # block rows; the other terms are columns and one shift
    wide = terms - high
    if wide < 1:
        return None
    late = [[[block[o][i] for o in range(outputs)] for block in response[1:]] for i in range(inputs)]
    generators = [*late, [list(block) for block in free]]

    def column(generator: list[list[int]], lag: int) -> list[int]:
        return [value for block in generator[lag : lag + high] for value in block]

    size = high * outputs
    rows = [column(g, lag) + column(g, lag + 1) for g in generators for lag in range(wide)]
    basis, rest = hermite(rows, size)
    if any(any(row) for row in rest) or (basis and 2 * len(basis) > terms):
        return None
    tops = [row[:size] for row in basis]
    moved = [coordinates(tops, row[size:]) for row in basis]
    entering = [coordinates(tops, column(g, 0)) for g in generators]
    if any(row is None for row in (*moved, *entering)):
        return None
    states = len(basis)
    found = StateSpace(
        a=tuple(tuple(row[k] for row in moved if row is not None) for k in range(states)),
        b=tuple(tuple(row[k] for row in entering[:inputs] if row is not None) for k in range(states)),
        c=tuple(tuple(row[o] for row in basis) for o in range(outputs)),
        d=tuple(tuple(row) for row in response[0]),
        start=tuple(entering[-1] or ()),
    )
    again = markov(found, len(response))
    same = again == ([[list(row) for row in block] for block in response], [list(block) for block in free])
    return found if same else None


def markov(space: StateSpace, terms: int) -> tuple[list[list[list[int]]], list[list[int]]]:
    """Impulse response ``[terms, outputs, inputs]`` and free response ``[terms, outputs]`` of a state space.

    Example:
        >>> markov(StateSpace(((1,),), ((2,),), ((1,),), ((5,),), (3,)), 3)
        ([[[5]], [[2]], [[2]]], [[3], [3], [3]])
    """
    impulses = [list(column) for column in zip(*space.b, strict=True)] if space.b else [[] for _ in space.d[0]]
    state = list(space.start)
    response, free = [[list(row) for row in space.d]], []
    for term in range(terms):
        free.append(times(space.c, state))
        state = times(space.a, state)
        if term:
            shown = [times(space.c, impulse) for impulse in impulses]
            response.append([list(row) for row in zip(*shown, strict=True)])
            impulses = [times(space.a, impulse) for impulse in impulses]
    return response[:terms], free


def times(matrix: Sequence[Sequence[int]], vector: Sequence[int]) -> list[int]:
    """A matrix times a vector, in whole numbers."""
    return [sum(m * v for m, v in zip(row, vector, strict=True) if m and v) for row in matrix]


def hermite(rows: Sequence[Sequence[int]], size: int) -> tuple[list[list[int]], list[list[int]]]:
    """Hermite normal form of the lattice that rows span, by their first ``size`` entries.

    Row operations act on whole rows, so further entries follow along.

    Returns:
        The basis (positive pivots, entries above a pivot reduced modulo it) and what became of the other rows, whose
        first ``size`` entries are zero.

    Example:
        >>> hermite([[2, 3], [1, 1]], 2)
        ([[1, 0], [0, 1]], [])
    """
    left = [list(row) for row in rows]
    basis: list[list[int]] = []
    for place in range(size):
        while True:
            live = [row for row in left if row[place]]
            if len(live) < 2:
                break
            least = min(live, key=lambda row: abs(row[place]))
            for row in live:
                if row is not least:
                    add(row, least, -(row[place] // least[place]))
        if not live:
            continue
        pivot = live[0]
        left = [row for row in left if row is not pivot]
        if pivot[place] < 0:
            pivot[:] = [-value for value in pivot]
        for row in basis:
            add(row, pivot, -(row[place] // pivot[place]))
        basis.append(pivot)
    return basis, left


def coordinates(basis: Sequence[Sequence[int]], vector: Sequence[int]) -> list[int] | None:
    """Whole coordinates of a vector in an echelon basis; ``None`` where it is not in the lattice.

    Example:
        >>> coordinates([[1, 0], [0, 2]], [3, 4]), coordinates([[1, 0], [0, 2]], [3, 5])
        ([3, 2], None)
    """
    rest, found = list(vector), []
    for row in basis:
        place = next(i for i, value in enumerate(row) if value)
        factor, remainder = divmod(rest[place], row[place])
        if remainder:
            return None
        add(rest, row, -factor)
        found.append(factor)
    return None if any(rest) else found


def add(row: list[int], other: Sequence[int], factor: int) -> None:
    """Add a multiple of another row to a row, in place."""
    if factor:
        row[:] = [value + factor * more for value, more in zip(row, other, strict=True)]
