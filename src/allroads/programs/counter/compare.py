"""Equality of two programs of counters: at all lengths where all counters move along one line, else up to a length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from allroads.programs.counter.index import counters, places, point
from allroads.programs.equivalence import Equivalence
from allroads.programs.piecewise.term import COMPARISONS, Term

if TYPE_CHECKING:
    from allroads.programs.counter.counter import Counter

LENGTH = 48
"""Longest words that are searched where equality is not decided at all lengths."""

STATES = 40_000
"""Most pairs of states that are searched."""


def compare(a: Counter, b: Counter) -> Equivalence:
    """Equality of two programs over the same letters in the same order; see ``Counter.equals``."""
    if a.canonical() == b.canonical():
        return Equivalence(True, "all lengths", 0, stats={"why": "equal normal forms"})
    window = _window(a, b)
    start = (a.first, b.first)
    words: dict[object, tuple[int, ...]] = {start: ()}
    frontier, length, whole = [start], 0, True
    while frontier and (window is not None or length < LENGTH) and len(words) <= STATES:
        following = []
        for mine, theirs in frontier:
            for letter in range(len(a.alphabet)):
                left, said = a.move(mine, letter)
                right, other = b.move(theirs, letter)
                word = (*words[mine, theirs], letter)
                if a.symbol(said) != b.symbol(other):
                    shown = [a.alphabet[i] for i in word]
                    scope = "to length" if window is None else "all lengths"
                    return Equivalence(False, scope, len(words), len(word), None, shown, (a(shown), b(shown)))
                # Counters that no longer matter are forgotten: those of a program whose latch is set.
                pair = _alive(left), _alive(right)
                if window is not None and max((abs(v) for s in pair for v in s[0]), default=0) > window:
                    continue
                if pair not in words:
                    words[pair] = word
                    following.append(pair)
        frontier, length = following, length + 1
        whole = not frontier
    if whole and (window is not None or not frontier):
        return Equivalence(True, "all lengths", len(words))
    return Equivalence(True, "to length", len(words), length)


State = tuple[tuple[int, ...], bool]


def _alive(state: State) -> State:
    return ((0,) * len(state[0]), True) if state[1] else state


def _window(a: Counter, b: Counter) -> int | None:
    """A size of counters beyond which nothing new happens; ``None`` where counters move along several lines.

    On one line all counters are multiples of a position p. Beyond a bound every term of p is affine, and every latch
    stays as it is. Two answers that are equal at two positions beyond the bound are equal at all. A walk beyond the
    bound can be put in an order that stays within two steps of it.
    """
    columns = [column for program in (a, b) for column in zip(*program.steps, strict=True)]
    moves = np.array(columns, dtype=np.int64).reshape(len(columns), len(a.alphabet))
    live = moves[np.abs(moves).sum(axis=1) > 0]
    if not len(live):
        return 0
    unit = live[0] // math.gcd(*(int(v) for v in live[0]))
    pivot = int(np.flatnonzero(unit)[0])
    slopes = [int(row[pivot]) // int(unit[pivot]) for row in moves]
    if any((row != slope * unit).any() for row, slope in zip(moves, slopes, strict=True)):
        return None
    bound, at = 1, 0
    for program in (a, b):
        own = tuple(slopes[at : at + program.size])
        at += program.size
        for term in (program.answer, program.latch):
            for sign in (1, -1):
                bound = max(bound, 1 if term is None else _tail(term, own, sign)[2])
    widest = max(abs(v) for v in slopes)
    positions = bound + 6 * int(np.abs(unit).max())
    return widest * positions if positions < STATES // 8 else None


def _tail(term: Term, slopes: tuple[int, ...], sign: int) -> tuple[int, int, int]:
    """Slope, offset and bound: on the ray ``p = sign q`` a term is ``slope q + offset`` for all q from the bound on."""
    if not term.args:
        if isinstance(term.head, int):
            return 0, term.head, 1
        if term.head in places(len(slopes)):
            return 0, point(tuple(sign * s for s in slopes))[term.head], 1
        return sign * slopes[counters(len(slopes)).index(term.head)], 0, 1
    (p, b, own), *rest = (_tail(part, slopes, sign) for part in term.args)
    q, c, other = rest[0] if rest else (-p, -b, own)
    bound = max(own, other)
    if term.head == "+":
        return p + q, b + c, bound
    if term.head == "-":
        return p - q, b - c, bound
    if p != q:
        bound = max(bound, abs(c - b) // abs(p - q) + 2)
    first = p * bound + b < q * bound + c
    if term.head in COMPARISONS:
        return 0, Term(term.head, (Term(p * bound + b), Term(q * bound + c))).at({}), bound
    smaller = first if term.head == "min" else not first
    return (p, b, bound) if smaller else (q, c, bound)
