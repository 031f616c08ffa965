"""Whether a program is the definition of its task, on fresh inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.programs import Program
from allroads.targets.target import Target

SEQUENCES = 400
"""Fresh sequences of each length."""
TIMES = (1, 2, 4)
"""Lengths in units of the benchmark's."""
SALT = 62
"""Seed of the fresh sequences; no training uses it."""


@dataclass(frozen=True)
class Verdict:
    """What fresh sequences say.

    Args:
        equal: Whether every position of every sequence is right.
        sequences: How many were compared.
        length: Of the longest.
        wrong: The first on which the answers differ, with both.
    """

    equal: bool
    sequences: int
    length: int
    wrong: Any = None


def judge(program: Program, target: Target) -> Verdict:
    """Compare a program with the definition, on fresh random sequences as long as those of training and longer."""
    assert target.function is not None and target.alphabet is not None
    rng = np.random.default_rng(SALT)
    length, *channels = target.interface.input_shape
    width = channels[0] if channels else 1
    count, longest = 0, 0
    for times in TIMES:
        longest = times * length
        for places in rng.integers(len(target.alphabet), size=(SEQUENCES, longest, width)):
            symbols = [tuple(target.alphabet[i] for i in row) for row in places.tolist()]
            example = symbols if width > 1 else [row[0] for row in symbols]
            said, right = list(program(example)), [_plain(y) for y in target.function(example)]
            count += 1
            if [_plain(y) for y in said] != right:
                return Verdict(False, count, longest, [example, said, right])
    return Verdict(True, count, longest)


def _plain(answer: Any) -> Any:
    return tuple(int(y) for y in answer) if isinstance(answer, tuple | list | np.ndarray) else int(answer)
