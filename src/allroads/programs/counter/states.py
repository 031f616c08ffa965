"""States that a program of counters reaches up to a length, as a machine."""

from __future__ import annotations

import numpy as np

from allroads.programs.counter.counter import Counter
from allroads.programs.mealy.quotient import Quotient

MOST = 4096
"""Most states."""


def horizon(program: Counter, length: int) -> Quotient | None:
    """The machine of all states that words up to a length reach; ``None`` where there are more than :data:`MOST`.

    States that only words of the full length reach answer and move as the first one does; no word within the length
    asks them. Counters of a latched program are forgotten.

    Example:
        >>> from allroads.programs.piecewise.term import Term
        >>> horizon(Counter((0, 1), [[0], [1]], Term("c")), 3).moves.tolist()
        [[0, 1], [1, 2], [2, 3], [0, 0]]
    """
    states = {program.first: 0}
    frontier, moves, answers = [program.first], [], []
    for _ in range(length):
        following = []
        for state in frontier:
            row, said = [], []
            for letter in range(len(program.alphabet)):
                after, answer = program.move(state, letter)
                if after[1]:
                    after = ((0,) * program.size, True)
                if after not in states:
                    states[after] = len(states)
                    following.append(after)
                row.append(states[after])
                said.append([answer])
            moves.append(row)
            answers.append(said)
        frontier = following
        if len(states) > MOST:
            return None
    moves += [[0] * len(program.alphabet)] * len(frontier)
    answers += [answers[0]] * len(frontier)
    return Quotient(np.array(moves), np.array(answers), np.zeros((1, 0)))
