"""A piecewise-linear recurrence over finitely many letters as a machine, where its registers take few values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from allroads.programs.mealy.quotient import Quotient
from allroads.programs.piecewise.recurrence import Piecewise

STATES = 512
"""Most values of the registers together."""

ENTRIES = 60_000
"""Most pairs of a state and a letter."""


def machine(program: Piecewise, letters: Sequence[Any]) -> Quotient | None:
    """All values that the registers take under all words, with what follows; ``None`` where these are too many.

    Example:
        >>> from allroads.programs.piecewise import Register, Term
        >>> largest = Piecewise((Register(0, Term("max", (Term("s"), Term("x"))), True),), Term("s"), 0, 2)
        >>> machine(largest, [0, 1, 2]).moves.tolist()
        [[0, 1, 2], [1, 1, 2], [2, 2, 2]]
    """
    rows = np.array(letters, np.int64).reshape(len(letters), -1)
    states = {program.start: 0}
    frontier, moves, answers = [program.start], [], []
    while frontier:
        if (len(states)) * len(letters) > ENTRIES or len(states) > STATES:
            return None
        held = np.array(frontier, np.int64).reshape(len(frontier), program.states)
        after, said = program.step(np.repeat(held, len(letters), axis=0), np.tile(rows, (len(frontier), 1)))
        following, row = [], []
        for key in map(tuple, after.tolist()):
            if key not in states:
                states[key] = len(states)
                following.append(key)
            row.append(states[key])
        moves.append(np.array(row).reshape(len(frontier), len(letters)))
        answers.append(said.reshape(len(frontier), len(letters)))
        frontier = following
    return Quotient(np.concatenate(moves), np.concatenate(answers)[..., None], np.zeros((1, 0)))
