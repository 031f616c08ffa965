"""Which function the end of a run computes: its answers on the domain, its truth table, and a name for it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import jax
import numpy as np

from allroads.paths.agreement import answers
from allroads.points.prior.functions import rows_of_cube
from allroads.studies.forward import outputs_along
from allroads.studies.probes import road_probes

if TYPE_CHECKING:
    from allroads.studies.units import Run
    from allroads.targets.probes import Probes
    from allroads.targets.target import Target

MOST_INPUTS = 1 << 16
"""Inputs on which functions are compared, at most."""
SPELLED = 64
"""Bits of a truth table up to which a function is called by them, and not by a digest."""


def domain(target: Target) -> Probes:
    """The inputs on which functions are compared: the whole domain, else held-out examples, else training ones."""
    return road_probes(target, MOST_INPUTS)


def end_answers(run: Run, inputs: np.ndarray) -> np.ndarray | None:
    """What the end of a run answers ``[N, …]``; ``None`` where an output is not finite."""
    return answers_at(run, np.array([-1]), inputs)[0]


def answers_at(run: Run, records: np.ndarray, inputs: np.ndarray) -> list[np.ndarray | None]:
    """What chosen records of a run answer, each ``[N, …]``; ``None`` where an output is not finite."""
    chosen = jax.tree.map(lambda leaf: np.asarray(leaf)[records], run.params)
    outputs = outputs_along(run.network, chosen, inputs)
    return [answers(one, run.loss) if np.isfinite(one).all() else None for one in outputs]


def truth_table(said: np.ndarray, inputs: np.ndarray) -> np.ndarray | None:
    """Answers as a truth table ``[2^n]``, row r the input whose bit i is ``(r >> i) & 1``.

    ``None`` where the inputs are not all inputs of n bits, or an answer is not one bit.

    Example:
        >>> truth_table(np.array([0, 1, 0, 0]), np.array([[1, 1], [1, 0], [0, 1], [0, 0]])).tolist()
        [0, 1, 0, 0]
    """
    rows = rows_of_cube(np.asarray(inputs))
    if rows is None or said.size != len(rows) or not np.isin(said, (0, 1)).all():
        return None
    table = np.empty(len(rows), np.int64)
    table[rows] = said.ravel()
    return table


def function_name(said: np.ndarray, table: np.ndarray | None) -> str:
    """A short name, the same for the same answers on the same inputs.

    It is the truth table in hexadecimal, row 0 the lowest bit, for up to 6 bits; else ten digits of a digest.

    Example:
        >>> function_name(np.array([0, 1, 1, 0]), np.array([0, 1, 1, 0]))
        '0x6'
    """
    if table is not None and len(table) <= SPELLED:
        code = sum(int(bit) << row for row, bit in enumerate(table))
        return f"0x{code:0{max(len(table) // 4, 1)}x}"
    plain = np.ascontiguousarray(said if table is None else table, np.int64)
    return hashlib.sha256(plain.tobytes()).hexdigest()[:10]


def share_right(said: np.ndarray, labels: np.ndarray) -> float:
    """Share of inputs on which all answers are the labels."""
    expected = np.asarray(labels)
    right: np.ndarray = np.asarray(said).reshape(len(said), -1) == np.rint(expected).reshape(len(said), -1)
    return float(right.all(axis=1).mean())
