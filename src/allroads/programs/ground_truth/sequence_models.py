"""Position-wise programs of the zoo: select and aggregate, compiled into transformers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from allroads.programs.ground_truth.entry import Entry
from allroads.programs.sequence.library import sequence_program
from allroads.programs.sequence.program import SequenceProgram
from allroads.targets.target import Target


class Task(NamedTuple):
    """What a position-wise program computes.

    Args:
        summary: In one line.
        definition: The answers at all positions of a word, written without the program.
        letters: Number of letters.
        length: Length of the words.
        answers: The answers in the order of the scores.
    """

    summary: str
    definition: Callable[[list[int]], Sequence[int]]
    letters: int
    length: int
    answers: Sequence[int]


def _alike(word: list[int]) -> list[int]:
    counts = Counter(word)
    return [sum(c == counts[x] for c in counts.values()) for x in word]


def _commonest(word: list[int]) -> list[int]:
    counts = Counter(word)
    return [min(counts, key=lambda x: (-counts[x], x))] * len(word)


def _depths(word: list[int]) -> list[int]:
    return list(itertools.accumulate(1 - 2 * x for x in word))


def _parities(word: list[int]) -> list[int]:
    return list(itertools.accumulate(word, lambda a, b: a ^ b))


def _copied(word: list[int]) -> list[int]:
    return [word[q - 4] if q >= 4 else 0 for q in range(len(word))]


TASKS: dict[str, Task] = {
    "histogram": Task("how often the letter occurs in the word", lambda w: [w.count(x) for x in w], 3, 5, range(1, 6)),
    "double_histogram": Task("how many letters occur as often as this one", _alike, 3, 5, range(1, 4)),
    "reverse": Task("the word backwards", lambda w: w[::-1], 3, 5, range(3)),
    "sort": Task("the letters in order", sorted, 3, 5, range(3)),
    "most_frequent": Task("the commonest letter, the smallest of several", _commonest, 3, 5, range(3)),
    "dyck1_depth": Task("brackets opened less closed so far", _depths, 2, 6, range(-6, 7)),
    "previous": Task("the letter before, 0 at first", lambda w: [0, *w[:-1]], 3, 5, range(3)),
    "first": Task("the first letter", lambda w: [w[0]] * len(w), 3, 5, range(3)),
    "parity": Task("the sum of the bits so far modulo 2", _parities, 2, 6, range(2)),
    "repeat_copy": Task("the letter four places before, 0 at first", _copied, 2, 6, range(2)),
}
"""Name in the library of position-wise programs, and what the program computes."""


def _made(name: str) -> tuple[SequenceProgram, Target]:
    task = TASKS[name]
    program = sequence_program(name, letters=task.letters, length=task.length)
    made: dict[str, Any] = {"alphabet": task.letters, "length": task.length, "function": task.definition}
    return program, Target(name, output_alphabet=tuple(task.answers), per_position=True, **made)


def selections() -> list[Entry]:
    """The position-wise programs, compiled into transformers of one head a block.

    Example:
        >>> len(selections())
        10
    """
    return [
        Entry(
            f"transformer-{name.replace('_', '-')}",
            "sequence",
            task.summary,
            partial(_made, name),
            {"output_alphabet": tuple(task.answers)},
        )
        for name, task in TASKS.items()
    ]
