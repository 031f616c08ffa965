"""Sequence to sequence: seven bits in, one balanced bit out at each position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from allroads.targets.rules import all_bits
from allroads.targets.tomita import TOMITA, Acceptor

from .task import Task, distinct, generator, signs

LENGTH = 7
ROWS = all_bits(LENGTH)
X = signs(ROWS)
"""Inputs as signs, ``[128, 7]``."""

LEAST_SPREAD = 0.85
"""Least variance of a target's signs, mean over positions: a position where the answer is always the same adds none."""


def sequence_tasks() -> list[Task]:
    """All of them, position 0 read first; numbers are written with their lowest bit first."""
    bits = ROWS.astype(int)
    count, present = bits.cumsum(axis=1), np.arange(1, LENGTH + 1)
    before = np.pad(bits, ((0, 0), (2, 0)))
    numbers = bits @ (1 << np.arange(LENGTH))

    def digits(values: np.ndarray) -> np.ndarray:
        return values[:, None] >> np.arange(LENGTH) & 1

    tables = {
        "parity of the prefix": ("prefix", count % 2),
        "majority of the prefix": ("prefix", np.where(2 * count == present, bits, 2 * count > present)),
        "ones mod 4 above 1, xor present": ("counter", (count - bits) % 4 // 2 ^ bits),
        "ones mod 3 is 1, xor present": ("counter", ((count - bits) % 3 == 1) ^ bits),
        "the bit before": ("memory", before[:, 1:-1]),
        "two bits before": ("memory", before[:, :-2]),
        "first bit": ("memory", np.repeat(bits[:, :1], LENGTH, axis=1)),
        "first xor present": ("memory", bits[:, :1] ^ bits),
        "present xor before": ("local", bits ^ before[:, 1:-1]),
        "present xor two before": ("local", bits ^ before[:, :-2]),
        "x + 1": ("arithmetic", digits(numbers + 1)),
        "x + 42": ("arithmetic", digits(numbers + 42)),
        "3 · x": ("arithmetic", digits(3 * numbers)),
        "reversed": ("not causal", bits[:, ::-1]),
        "parity of the rest": ("not causal", bits[:, ::-1].cumsum(axis=1)[:, ::-1] % 2),
    }
    tasks = [Task(name, family, signs(table)) for name, (family, table) in tables.items()]
    for number, language in TOMITA.items():

        def accept(state: int, bit: int, known: Acceptor = language) -> tuple[int, int]:
            return known.transitions[state][bit], (state in known.accepting) ^ bit

        tasks.append(Task(f"string so far in tomita {number}, xor present", "automaton", _read(accept)))
    for states in (3, 5):
        for index in range(2):
            rng = generator(f"machine of {states} states {index}")
            following, shown = rng.integers(states, size=(states, 2)), rng.permutation(states) % 2

            def step(state: int, bit: int, f: np.ndarray = following, s: np.ndarray = shown) -> tuple[int, int]:
                return int(f[state, bit]), int(s[state]) ^ bit

            tasks.append(Task(f"machine of {states} states {index}", "automaton", _read(step)))
    return distinct(task for task in tasks if task.labels.var(axis=0).mean() >= LEAST_SPREAD)


def _read(step: Callable[[int, int], tuple[int, int]]) -> np.ndarray:
    """What a machine puts out at every position of every string."""
    table = np.zeros(ROWS.shape, int)
    for row, string in enumerate(ROWS.astype(int)):
        state = 0
        for position, bit in enumerate(string):
            state, table[row, position] = step(state, int(bit))
    return signs(table)
