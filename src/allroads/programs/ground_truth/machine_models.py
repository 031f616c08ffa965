"""Finite machines of the zoo: Tomita's grammars and the finite-state tasks of the MIPS benchmark."""

from __future__ import annotations

import math
from functools import partial

from allroads.programs.ground_truth.entry import Entry
from allroads.programs.mealy.machine import Machine
from allroads.targets.mips import MIPS_TASKS
from allroads.targets.sequence import sequence
from allroads.targets.target import Target
from allroads.targets.tomita import TOMITA, tomita

WORDS = 2**13
"""Most words of a target, so that its domain is enumerated."""

LONGEST = 10


def length_of(letters: int) -> int:
    """Longest words, up to ten letters, of which there are at most 2^13.

    Example:
        >>> length_of(2), length_of(10), length_of(49)
        (10, 3, 2)
    """
    return max(2, min(LONGEST, int(math.log(WORDS) / math.log(letters) + 1e-9)))


def _grammar(number: int) -> tuple[Machine, Target]:
    target = tomita(grammar=number, length=LONGEST)
    return Machine.of(target.truth["machine"]), target


def _task(task: str, length: int) -> tuple[Machine, Target]:
    target = sequence(task=task, length=length)
    return Machine.of(target.truth["machine"]), target


def machines() -> list[Entry]:
    """The machines, compiled into Elman networks; their targets say the function by another program."""
    found = [
        Entry(
            f"tomita-{number}",
            "mealy",
            f"whether the prefix is in Tomita's language {number}: {grammar.definition}",
            partial(_grammar, number),
            {"length": LONGEST},
        )
        for number, grammar in TOMITA.items()
    ]
    for name, task in MIPS_TASKS.items():
        if task.outputs is None or task.states is None:
            continue
        length = length_of(len(task.alphabet) ** task.channels)
        entry = name.lower().replace("_", "-")
        found.append(Entry(entry, "mealy", task.definition, partial(_task, name, length), {"length": length}))
    return found
