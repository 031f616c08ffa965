"""Integer recurrences of the zoo: the linear tasks of the MIPS benchmark."""

from __future__ import annotations

from functools import partial
from typing import Any

from allroads.programs.ground_truth.entry import Entry
from allroads.programs.linear.recurrence import Recurrence
from allroads.targets.mips import MIPS_TASKS
from allroads.targets.target import Target

DIGITS = tuple(range(-2, 3))
"""What the networks are asked on: recurrences read any whole numbers."""

LENGTH = 5


def _of(a: Any, b: Any, c: Any, d: Any, start: Any) -> Recurrence:
    """A recurrence from lists."""
    return Recurrence(a, b, c, d, start)


def _delay(steps: int, summed: bool) -> Recurrence:
    """The number ``steps`` positions before, or the sum of all since then."""
    shift = [[int(column == row + 1) for column in range(steps)] for row in range(steps)]
    last = [[int(row == steps - 1)] for row in range(steps)]
    read = [1] * steps if summed else [1, *[0] * (steps - 1)]
    return _of(a=shift, b=last, c=[read], d=[[int(summed)]], start=[0] * steps)


RECURRENCES: dict[str, Recurrence] = {
    "Current_Number": _of(a=[], b=[], c=[[]], d=[[1]], start=[]),
    "Sum_All": _of(a=[[1]], b=[[1]], c=[[1]], d=[[1]], start=[0]),
    **{f"Sum_Last{k}": _delay(k - 1, True) for k in range(2, 6)},
    **{f"Prev{k}": _delay(k, False) for k in range(1, 5)},
    "Diff_Last2": _of(a=[[0]], b=[[1]], c=[[-1]], d=[[1]], start=[0]),
    "Newton_Freebody": _of(a=[[1, 1], [0, 1]], b=[[1], [1]], c=[[1, 1]], d=[[1]], start=[0, 0]),
    "Newton_Gravity": _of(
        a=[[1, 1, -1], [0, 1, -1], [0, 0, 1]], b=[[1], [1], [0]], c=[[1, 1, -1]], d=[[1]], start=[0, 0, 1]
    ),
    "Newton_Spring": _of(a=[[0, 1], [-1, 1]], b=[[1], [1]], c=[[0, 1]], d=[[1]], start=[0, 0]),
    "Newton_Magnetic": _of(
        a=[[1, 0, 1, -1], [0, 1, 1, 1], [0, 0, 1, -1], [0, 0, 1, 1]],
        b=[[1, 0], [0, 1], [1, 0], [0, 1]],
        c=[[1, 0, 1, -1], [0, 1, 1, 1]],
        d=[[1, 0], [0, 1]],
        start=[0, 0, 0, 0],
    ),
}
"""Task to recurrence; the states of ``Newton_…`` are position and velocity."""


def _task(name: str) -> tuple[Recurrence, Target]:
    task = MIPS_TASKS[name]
    length = LENGTH if task.channels == 1 else 3
    target = Target(name, alphabet=DIGITS, length=length, channels=task.channels, as_numbers=True, step=task.step,
                    initial_state=task.initial_state)  # fmt: skip
    return RECURRENCES[name], target


def recurrences() -> list[Entry]:
    """The recurrences, compiled into affine recurrent networks; their targets step as the tasks' definitions say."""
    found = []
    for name in RECURRENCES:
        task = MIPS_TASKS[name]
        length = LENGTH if task.channels == 1 else 3
        entry = name.lower().replace("_", "-")
        found.append(Entry(entry, "linear", task.definition, partial(_task, name), {"length": length}))
    return found
