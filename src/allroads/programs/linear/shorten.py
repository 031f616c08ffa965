"""The shortest form of a recurrence: its states in the basis in which its matrices take the fewest bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allroads.programs.linear.realise import Rows, realise
from allroads.programs.linear.recurrence import Recurrence

LEVEL, FEW = 64, 3
"""Forms of equal length among which the shortest source is chosen, and the most states for which it is."""


def shorten(recurrence: Recurrence) -> Recurrence:
    """The same function in a form of fewer bits, for reading.

    One state after another is negated, or added to or taken from another, as long as the matrices become shorter. That
    is done from the normal form and from the form whose answers read the new state. The end is a local minimum.

    Example:
        >>> long = Recurrence(a=[[0, 1], [-1, 2]], b=[[2], [3]], c=[[1, 0]], d=[[1]], start=[0, 0])
        >>> print(shorten(long).source)
        def program(x):
            a = 0
            b = 0
            y = []
            for u in x:
                b = b + u
                a = b + a
                y.append(a)
            return y
    """
    normal = recurrence.canonical()
    found = [_descend(form) for form in (normal, shifted(normal))]
    return min((form for start in found for form in _level(start)), key=_length)


def shifted(recurrence: Recurrence) -> Recurrence:
    """The same function with a state that already holds the present input: its answers read the new state alone.

    Example:
        >>> shifted(Recurrence(a=[], b=[], c=[[]], d=[[1]], start=[]))
        Recurrence(a=((0,),), b=((1,),), c=((0,),), d=((1,),), start=(0,))
    """
    response, free = recurrence.responses(4 * recurrence.states + 8)
    zero = [[0] * recurrence.inputs for _ in range(recurrence.outputs)]
    found = realise([zero, *response], [[0] * recurrence.outputs, *free])
    if found is None:
        raise AssertionError("a shifted response has a realisation")
    n = len(found.start)
    a, b, c = _array(found.a, n), _array(found.b, recurrence.inputs), _array(found.c, n)
    return Recurrence(found.a, found.b, (c @ a).tolist(), (c @ b).tolist(), found.start)


def _array(rows: Rows, columns: int) -> np.ndarray:
    return np.array(rows, dtype=object).reshape(len(rows), columns)


def _length(recurrence: Recurrence) -> tuple[float, int]:
    return recurrence.bits, len(recurrence.source)


def _descend(recurrence: Recurrence) -> Recurrence:
    best, least = recurrence, recurrence.bits
    while True:
        found = min(_neighbours(best), key=lambda form: form.bits, default=best)
        if found.bits >= least:
            return best
        best, least = found, found.bits


def _level(recurrence: Recurrence) -> list[Recurrence]:
    """Forms as short as this one that are reached through such forms, at most :data:`LEVEL` of them."""
    found = [recurrence]
    if recurrence.states <= FEW:
        for form in found:  # grows while it is walked
            near = [other for other in _neighbours(form) if other.bits == recurrence.bits and other not in found]
            found.extend(near[: LEVEL - len(found)])
    return found


def _neighbours(recurrence: Recurrence) -> Iterator[Recurrence]:
    """The forms one elementary change of basis away."""
    n = recurrence.states
    for i in range(n):
        for j in range(n):
            for sign in (-1, 1) if i != j else (-2,):
                change, back = np.eye(n, dtype=object), np.eye(n, dtype=object)
                change[i, j] += sign
                back[i, j] += sign if i == j else -sign
                yield Recurrence(
                    (change @ _array(recurrence.a, n) @ back).tolist(),
                    (change @ _array(recurrence.b, recurrence.inputs)).tolist(),
                    (_array(recurrence.c, n) @ back).tolist(),
                    recurrence.d,
                    (change @ np.array(recurrence.start, dtype=object)).tolist(),
                )
