"""Numberings of the states of a machine under which its formulas may be short."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

Numbering = tuple[int, ...]
"""A whole number for each state, no two alike."""


def numberings(moves: np.ndarray, said: np.ndarray, drives: Sequence[np.ndarray]) -> Iterator[Numbering]:
    """Numberings to try: by what is answered on entering, modular, breadth-first, and all of few states.

    States have no names of their own, so every relabelling is the same machine; formulas are short under few of them.

    Args:
        moves: Next states ``[S, A]`` of a minimal machine, states in breadth-first order.
        said: Outputs ``[S, A]`` as whole numbers.
        drives: Lists of values ``[A]`` of the letters, that a modular sum may add.

    Example:
        >>> moves = np.array([[0, 1], [2, 0], [1, 2]])  # remainders of division by 3
        >>> (0, 1, 2) in list(numberings(moves, moves, [np.arange(2)]))
        True
    """
    seen: set[Numbering] = set()
    for numbering in itertools.chain(
        _by_answer(moves, said), _modular(moves, drives), _few(len(moves)), [tuple(range(len(moves)))]
    ):
        if numbering not in seen and len(set(numbering)) == len(moves):
            seen.add(numbering)
            yield numbering


def _by_answer(moves: np.ndarray, said: np.ndarray) -> Iterator[Numbering]:
    """A state is what is answered on entering it; an initial state that is never entered takes numbers around."""
    number: dict[int, int] = {}
    for q, answer in zip(moves.ravel().tolist(), said.ravel().tolist(), strict=True):
        if number.setdefault(q, answer) != answer:
            return
    missing = [q for q in range(len(moves)) if q not in number]
    used = set(number.values())
    for value in [0] if not missing else [v for v in range(min(used) - 1, max(used) + 2) if v not in used]:
        full = {**number, **dict.fromkeys(missing, value)}
        yield tuple(full[q] for q in range(len(moves)))


def _few(states: int) -> Iterator[Numbering]:
    if states <= 3:
        yield from itertools.permutations(range(states))


def _modular(moves: np.ndarray, drives: Sequence[np.ndarray]) -> Iterator[Numbering]:
    """Numberings ν with ν(δ(q, a)) = (α ν(q) + β d(a)) mod m: solved by following words from each first number."""
    states, letters = moves.shape
    parents = _parents(moves)
    for m in (states, states + 1):
        for drive in drives:
            factors = range(1, m) if m <= 16 and len(drives) <= 2 else (1, m - 1)
            grid = itertools.product(range(m), sorted(set(factors)), range(m))
            alpha, beta, start = (np.array(part) for part in zip(*grid, strict=True)) if m > 1 else ([0], [0], [0])
            number = np.zeros((len(alpha), states), np.int64)
            number[:, 0] = start
            for q in range(1, states):
                before, letter = parents[q]
                number[:, q] = (alpha * number[:, before] + beta * drive[letter]) % m
            fits = np.ones(len(alpha), bool)
            for q in range(states):
                for letter in range(letters):
                    fits &= number[:, moves[q, letter]] == (alpha * number[:, q] + beta * drive[letter]) % m
            for k in sorted(np.flatnonzero(fits), key=lambda k: (beta[k] > 1, start[k], alpha[k]))[:6]:
                yield tuple(number[k].tolist())


def _parents(moves: np.ndarray) -> dict[int, tuple[int, int]]:
    """A state and a letter that lead to each state, breadth-first."""
    found: dict[int, tuple[int, int]] = {}
    order = [0]
    for q in order:  # grows while it is walked
        for letter, p in enumerate(moves[q].tolist()):
            if p and p not in found:
                found[p] = (q, letter)
                order.append(p)
    return found


def windows(moves: np.ndarray, most: int = 1024) -> tuple[int, int, dict[tuple[int, ...], int]] | None:
    """Length k and filling letter of a window that decides the state, and the state after each window.

    A machine is k-definite when the last k letters decide its state, from every state. The filling letter leaves the
    initial state where it is, so it can stand before the start.

    Args:
        moves: Next states ``[S, A]``.
        most: Most windows.

    Returns:
        ``(k, letter, states)`` with ``states[window]``, oldest letter first; ``None`` where there is no such window.

    Example:
        >>> windows(np.array([[0, 1], [0, 1]]))
        (1, 0, {(0,): 0, (1,): 1})
    """
    filling = np.flatnonzero(moves[0] == 0)
    if not len(filling):
        return None
    letters = moves.shape[1]
    after: dict[tuple[int, ...], np.ndarray] = {(): np.arange(len(moves))}
    for k in range(1, 6):
        if letters**k > most:
            return None
        after = {(*w, a): moves[ends, a] for w, ends in after.items() for a in range(letters)}
        if all(len(set(ends.tolist())) == 1 for ends in after.values()):
            return k, int(filling[0]), {w: int(ends[0]) for w, ends in after.items()}
    return None
