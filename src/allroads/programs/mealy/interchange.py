"""Interchange interventions between hidden states and machine states."""

from __future__ import annotations

import numpy as np

from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.quotient import Quotient
from allroads.results import Measurement

PAIRS = 512
"""Pairs of prefixes."""


def interchange(steps: Steps, machine: Quotient, length: int, seed: int) -> Measurement:
    """Interchange accuracy: the share of exchanged machine states after which the network answers as the machine does.

    The hidden state after a prefix is exchanged for a mean: that of those seen in the machine state of another prefix.
    The network then reads a suffix. All answers must be those of the machine from that state. As the whole hidden state
    is exchanged, the first prefix leaves no trace. Prefix and suffix together have at most the given length.

    The hidden state of the other prefix itself would be no test: where network and machine answer alike, it passes
    whatever the network holds. The mean passes where the hidden states of one machine state are one cloud.

    Args:
        steps: The network.
        machine: The machine.
        length: Length of the sequences.
        seed: Decides the words.

    Returns:
        The share with ``stats``. ``null`` is the same share where the mean is that of another state, and 1 where there
        is one state. States are permuted so that none stays in its place. ``whole`` is the share where the hidden state
        is that of the other prefix itself. ``pairs`` is the number of pairs, ``states`` that of states seen.

    When it fails: a network that keeps several clouds for one machine state, each of them sound, has a low share.

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
    source = states[PAIRS:]
    suffixes = rng.integers(letters, size=(PAIRS, max(1, length - half)))
    wanted = machine.run(suffixes, source)
    seen = np.unique(states)
    means = np.zeros((len(machine.moves), hidden.shape[1]))
    for q in seen:
        means[q] = hidden[states == q].mean(axis=0)
    follows = _alike(steps.run(means[source], suffixes)[1], wanted)
    whole = _alike(steps.run(hidden[PAIRS:], suffixes)[1], wanted)
    null = 1.0
    if len(seen) > 1:
        other = np.zeros(len(machine.moves), int)
        other[seen] = seen[moved(rng, len(seen))]
        null = float(_alike(steps.run(means[other[source]], suffixes)[1], wanted).mean())
    stats = {"null": null, "whole": float(whole.mean()), "pairs": PAIRS, "states": len(seen)}
    return Measurement(float(follows.mean()), stats=stats)


def _alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = (a == b).all(axis=(1, 2))
    return found


def moved(rng: np.random.Generator, count: int) -> np.ndarray:
    """A permutation that leaves nothing in its place, where there are two or more: one cycle in random order."""
    order = rng.permutation(count)
    found = np.empty(count, int)
    found[order] = np.roll(order, 1)
    return found
