"""Equality of two piecewise-linear recurrences by a search of pairs of their states."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from allroads.programs.equivalence import Equivalence

if TYPE_CHECKING:
    from allroads.programs.piecewise.recurrence import Piecewise

PAIRS = 400_000
"""Most pairs of a state and an input that are compared."""


def compare(a: Piecewise, b: Piecewise) -> Equivalence:
    """Equality of two programs on inputs in the range of both; see ``Piecewise.equals``."""
    low, high = max(a.low, b.low), min(a.high, b.high)
    stats = {"range": [low, high]}
    if a.canonical().terms == b.canonical().terms and a.canonical().start == b.canonical().start:
        return Equivalence(True, "all lengths", 0, stats=stats | {"why": "equal normal forms"})
    size = high - low + 1
    numbers = np.array(sorted(range(low, high + 1), key=lambda v: (abs(v), -v)))
    letters = np.array(list(itertools.product(numbers, repeat=a.channels))) if size**a.channels <= PAIRS else None
    if letters is None:
        return Equivalence(True, "to length", 0, 0, stats=stats)
    start = np.array([[*a.start, *b.start]], np.int64)
    seen = {start[0].tobytes(): (-1, -1)}
    rows, parents, frontier = [start[0]], [(-1, -1)], np.array([0])
    checked, length, states = 0, 0, start
    while len(frontier) and checked + len(frontier) * len(letters) <= PAIRS:
        here = np.repeat(states, len(letters), axis=0)
        read = np.tile(letters, (len(states), 1))
        mine, said = a.step(here[:, : a.states], read)
        theirs, other = b.step(here[:, a.states :], read)
        checked, length = checked + len(read), length + 1
        wrong = np.flatnonzero(said != other)
        if len(wrong):
            first = int(wrong[0])
            word = [read[first]]
            at = int(frontier[first // len(letters)])
            while parents[at][0] >= 0:
                at, letter = parents[at]
                word.append(letters[letter])
            shown = [tuple(map(int, row)) if a.channels > 1 else int(row[0]) for row in word[::-1]]
            return Equivalence(False, "all lengths", checked, len(shown), None, shown, (a(shown), b(shown)), stats)
        both = np.concatenate([mine, theirs], axis=1)
        _, unique = np.unique(both, axis=0, return_index=True) if both.shape[1] else (None, np.array([0]))
        fresh = []
        for k in np.sort(unique):
            key = both[k].tobytes()
            if key not in seen:
                seen[key] = (0, 0)
                parents.append((int(frontier[k // len(letters)]), int(k % len(letters))))
                fresh.append(len(rows))
                rows.append(both[k])
        frontier = np.array(fresh, int)
        states = np.array([rows[i] for i in fresh], np.int64).reshape(len(fresh), start.shape[1])
    if not len(frontier):
        return Equivalence(True, "all lengths", checked, stats=stats)
    return Equivalence(True, "to length", checked, length, stats=stats)
