"""Modes of hidden states: a machine of a network's own, finer than the minimal one."""

from __future__ import annotations

import numpy as np

from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.quotient import Quotient

GAP = 0.2
"""Share of a unit's range that has to be free of hidden states for the unit to have two levels."""

MODES = 512
"""Most modes."""


def modes(steps: Steps, machine: Quotient, seed: int) -> Quotient:
    """The machine whose states are those of a machine, told apart by the levels of the units.

    A network may realise a machine with more states than it needs, such as two clouds of hidden states for one machine
    state. A unit has two levels where a gap splits its values. The levels of all such units and the machine state make
    a mode. Units whose levels do not follow from mode and letter are left out, one after the other.

    Args:
        steps: The network.
        machine: A machine that it seems to compute.
        seed: Decides the words.

    Returns:
        A machine of the same function, maybe larger. It says nothing of the network that was not seen: it only proposes
        boxes for an induction.
    """
    rng = np.random.default_rng((seed, 7))
    letters, count, length = len(steps.letters), 64, 40
    words = rng.integers(letters, size=(count, length))
    hidden = steps.run(np.repeat(steps.start(), count, axis=0), words)[0]
    states = machine.states(words)
    units, cuts = _levels(hidden[:, 1:].reshape(-1, hidden.shape[-1]))
    while len(units):
        conflict = _conflict(hidden[..., units] > cuts, states, words)
        if conflict is None:
            return _machine(steps, machine, units, cuts) or machine
        units, cuts = np.delete(units, conflict), np.delete(cuts, conflict)
    return machine


def _levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units with two levels, and the middle of the gap between them."""
    units, cuts = [], []
    for unit, column in enumerate(values.T):
        ordered = np.unique(column)
        if len(ordered) > 1:
            gaps = np.diff(ordered)
            k = int(gaps.argmax())
            if gaps[k] > GAP * (ordered[-1] - ordered[0]) and ordered[-1] - ordered[0] > 1e-6:
                units.append(unit)
                cuts.append((ordered[k] + ordered[k + 1]) / 2)
    return np.array(units, int), np.array(cuts)


def _conflict(bits: np.ndarray, states: np.ndarray, words: np.ndarray) -> int | None:
    """The unit whose level most often does not follow from mode and letter; ``None`` where all do."""
    whole = np.concatenate([bits.astype(np.int64), states[..., None]], axis=-1)
    table: dict[bytes, bytes] = {}
    wrong = np.zeros(bits.shape[-1])
    for row, word in zip(whole, words, strict=True):
        for position, letter in enumerate(word.tolist()):
            key = row[position].tobytes() + bytes([position == 0]) + int(letter).to_bytes(4, "little")
            said = table.setdefault(key, row[position + 1].tobytes())
            wrong += (np.frombuffer(said, np.int64) != row[position + 1])[:-1]
    return int(wrong.argmax()) if wrong.any() else None


def _machine(steps: Steps, machine: Quotient, units: np.ndarray, cuts: np.ndarray) -> Quotient | None:
    """The machine of modes by breadth-first search; the start is a mode of its own."""
    letters = len(steps.letters)
    hidden, ends = [steps.start()[0]], [0]
    index: dict[bytes, int] = {b"start": 0}
    moves: list[list[int]] = []
    for k, before in enumerate(hidden):  # grows while it is walked
        after, _ = steps.move(np.repeat(before[None], letters, axis=0), np.arange(letters))
        moves.append([])
        for letter in range(letters):
            state = int(machine.moves[ends[k], letter])
            mode = np.append((after[letter, units] > cuts).astype(np.int64), state).tobytes()
            if mode not in index:
                index[mode] = len(hidden)
                hidden.append(after[letter])
                ends.append(state)
                if len(hidden) > MODES:
                    return None
            moves[-1].append(index[mode])
    return Quotient(np.array(moves), machine.answers[ends], np.stack(hidden))
