"""Interchange interventions between hidden states and machine states."""

from __future__ import annotations

import numpy as np

from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.quotient import Quotient
from allroads.results import Measurement

PAIRS = 512
"""Pairs of prefixes."""


def interchange(steps: Steps, machine: Quotient, length: int, seed: int) -> Measurement:
    """Interchange accuracy: the share of exchanged hidden states after which the network answers as the machine does.

    The network reads a base prefix. Its hidden state is exchanged for that of a source prefix, and it reads a suffix.
    All answers to the suffix must be those of the machine from the source's state. Where both prefixes lead to one
    machine state, they must also be the network's own after the base prefix. Prefixes and suffix together have at most
    the given length.

    Args:
        steps: The network.
        machine: The machine.
        length: Length of the sequences.
        seed: Decides the words.

    Returns:
        The share with ``stats``: ``null``, the same share with states permuted, none in its place (1 where there is one
        state); ``pairs``; ``same``, how many of them share a state; ``means``, the share where the hidden state is
        exchanged for the mean of those that were seen in the source's state.

    References: [geiger2021]
    """
    rng = np.random.default_rng(seed)
    half = max(1, length // 2)
    letters = len(steps.letters)
    words = rng.integers(letters, size=(2 * PAIRS, half))
    at = rng.integers(1, half + 1, size=2 * PAIRS)
    rows = np.arange(2 * PAIRS)
    hidden = steps.run(np.repeat(steps.start(), 2 * PAIRS, axis=0), words)[0][rows, at]
    states = machine.states(words)[rows, at]
    base, source = rows[:PAIRS], rows[PAIRS:].copy()
    for k in base[::2]:  # half of the pairs share a state where another prefix has it
        alike = np.flatnonzero(states[PAIRS:] == states[k])
        if len(alike):
            source[k] = PAIRS + rng.choice(alike)
    suffixes = rng.integers(letters, size=(PAIRS, max(1, length - half)))
    after = steps.run(hidden[source], suffixes)[1]
    own = steps.run(hidden[base], suffixes)[1]
    wanted = machine.run(suffixes, states[source])
    same = states[base] == states[source]
    follows = _alike(after, wanted) & (~same | _alike(after, own))
    count = len(machine.moves)
    means = np.zeros((count, hidden.shape[1]))
    for q in np.unique(states):
        means[q] = hidden[states == q].mean(axis=0)
    from_means = _alike(steps.run(means[states[source]], suffixes)[1], wanted)
    null = 1.0
    if count > 1:
        other = _moved(rng, count)[states[source]]
        null = float(_alike(after, machine.run(suffixes, other)).mean())
    stats = {"null": null, "pairs": PAIRS, "same": int(same.sum()), "means": float(from_means.mean())}
    return Measurement(float(follows.mean()), stats=stats)


def _alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = (a == b).all(axis=(1, 2))
    return found


def _moved(rng: np.random.Generator, count: int) -> np.ndarray:
    """A permutation that leaves nothing in its place: one cycle through all in random order."""
    order = rng.permutation(count)
    found = np.empty(count, int)
    found[order] = np.roll(order, 1)
    return found
