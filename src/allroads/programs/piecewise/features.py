"""Registers that a program may keep, with their values along sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allroads.programs.mealy.rule import named
from allroads.programs.piecewise.enumerate import BINARY, LARGEST, grown
from allroads.programs.piecewise.recurrence import Register
from allroads.programs.piecewise.term import Term, number_bits

HEADS = (*BINARY, "abs")

LEAVES = 3
"""Most leaves of an update."""

UPDATES = 1200
"""Most updates that are tried."""

SPREAD = 2**24
"""Values of a register beyond which it is left out."""


@dataclass(frozen=True, eq=False)
class Feature:
    """A register called ``s``, with its values before and after each position, ``[N, T]``."""

    register: Register
    before: np.ndarray
    after: np.ndarray
    bits: float


def features(inputs: np.ndarray, constants: Sequence[int], starts: Sequence[int]) -> list[Feature]:
    """Registers with short updates, one for each list of values, the shortest first.

    Updates are terms of at most three leaves in the register, the inputs and constants, and terms of two leaves clipped
    between two constants.

    Args:
        inputs: Sequences ``[N, T, D]`` of whole numbers.
        constants: Numbers that may stand in an update.
        starts: Values before the first position.

    Example:
        >>> found = features(np.array([[[2], [5], [3]], [[4], [1], [0]]]), (0,), (0,))
        >>> [f.after[0].tolist() for f in found if str(f.register.update) == "max(s, x)"]
        [[2, 5, 5]]
    """
    names = named("x", inputs.shape[2])
    variables = len(names) + 1
    found: list[Feature] = []
    seen: set[bytes] = set()
    for update in sorted(_updates(names, inputs, constants), key=lambda t: (t.bits(variables), str(t))):
        for start, before, after in _trajectories(update, names, inputs, starts):
            key = before.tobytes() + after.tobytes()
            if key in seen or (before == before[0, 0]).all():
                continue
            seen.add(key)
            register = Register(start, update)
            found.append(Feature(register, before, after, update.bits(variables) + number_bits(start)))
    return found


def _updates(names: Sequence[str], inputs: np.ndarray, constants: Sequence[int]) -> list[Term]:
    """Terms that differ at random values of the register and the inputs."""
    rng = np.random.default_rng(0)
    rows = inputs.reshape(-1, inputs.shape[2])
    rows = rows[rng.integers(len(rows), size=96)]
    held = rng.permutation(rows[:, 0]) + rng.integers(-1, 2, size=96)
    atoms = [Term("s"), *(Term(n) for n in names), *(Term(c) for c in dict.fromkeys(constants))]
    values = np.array([held, *rows.T, *(np.full(96, t.head) for t in atoms[1 + len(names) :])], np.int64)
    levels = grown((atoms, values), LEAVES, HEADS, most=UPDATES)
    plain = [term for level, _ in levels for term in level if term.variables]
    clipped = [
        Term("max", (Term(low), Term("min", (Term(high), term))))
        for term in levels[1][0]
        if term.head in ("+", "-") and len(term.variables) > 1
        for low in constants
        for high in constants
        if low < high
    ]
    return [*plain, *clipped]


def _trajectories(
    update: Term, names: Sequence[str], inputs: np.ndarray, starts: Sequence[int]
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    count, positions = inputs.shape[:2]
    now = np.repeat(np.array(starts, np.int64)[:, None], count, axis=1)
    steps = [now]
    for position in range(positions):
        here = {"s": now} | {n: inputs[None, :, position, i] for i, n in enumerate(names)}
        now = np.broadcast_to(update.values(here), (len(starts), count))
        now = np.clip(now, -LARGEST, LARGEST)
        steps.append(now)
    values = np.stack(steps, axis=2)
    sane = np.abs(values).max(axis=(1, 2)) < SPREAD
    return [(s, values[i, :, :-1], values[i, :, 1:]) for i, s in enumerate(starts) if sane[i]]
