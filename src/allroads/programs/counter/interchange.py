"""Interchange interventions between hidden states and counters."""

from __future__ import annotations

import numpy as np

from allroads.programs.counter.counter import Counter
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.interchange import interchange as whole_states
from allroads.programs.mealy.quotient import Quotient
from allroads.results import Measurement

PAIRS = 512
"""Pairs of prefixes."""

STRAIGHT = 0.999
"""Share of the hidden states' variance that an affine function of the counters must explain for their direction."""


def interchange(steps: Steps, program: Counter, machine: Quotient, length: int, seed: int) -> Measurement:
    """Interchange accuracy: the share of exchanged counters after which the network answers as the program does.

    Hidden states may be an affine function of the counters and the latch, to one part in a thousand of their variance.
    The counters of another prefix are then put in along their directions. What else a hidden state holds stays that of
    the base. Otherwise the hidden state is exchanged for the mean of those that were seen with the other prefix's
    counters, as for machines: :func:`allroads.programs.mealy.interchange.interchange`. Prefix and suffix together have
    at most the given length.

    Args:
        steps: The network.
        program: The counters.
        machine: The program as a machine up to the length.
        length: Length of the sequences.
        seed: Decides the words.

    Returns:
        The share with ``stats``: ``null``, the same share where the counters put in are those of a wrong prefix;
        ``pairs``; ``straight``, the share of the variance that is explained; ``kind``.

    References: [geiger2021] [geiger2024]
    """
    rng = np.random.default_rng(seed)
    half = max(1, length // 2)
    words = _words(rng, len(steps.letters), 4 * PAIRS, half)
    at = rng.integers(1, half + 1, size=len(words))
    rows = np.arange(len(words))
    hidden = steps.run(np.repeat(steps.start(), len(words), axis=0), words)[0][rows, at]
    states = machine.states(words)[rows, at]
    held = _held(program, machine, words, at)
    design = np.column_stack([held, np.ones(len(held))])
    shown, fresh = slice(0, 2 * PAIRS), slice(2 * PAIRS, None)
    directions = np.linalg.lstsq(design[shown], hidden[shown], rcond=1e-9)[0]
    left = ((hidden[fresh] - design[fresh] @ directions) ** 2).sum()
    straight = 1 - float(left / max(((hidden[fresh] - hidden[fresh].mean(axis=0)) ** 2).sum(), 1e-300))
    if straight < STRAIGHT:
        found = whole_states(steps, machine, length, seed)
        return Measurement(found.value, stats={**found.stats, "straight": straight, "kind": "mean states"})
    base, source = np.arange(2 * PAIRS, 3 * PAIRS), np.arange(3 * PAIRS, 4 * PAIRS)
    wrong = rng.permutation(source)
    suffixes = _words(rng, len(steps.letters), PAIRS, max(1, length - half))
    wanted = machine.run(suffixes, states[source])

    def share(given: np.ndarray, counted: np.ndarray) -> float:
        moved = hidden[base] + (held[given] - held[base]) @ directions[:-1]
        same = (steps.run(moved, suffixes)[1] == wanted).all(axis=(1, 2))
        return float(same[counted].mean()) if counted.any() else 1.0

    every = np.ones(PAIRS, bool)
    value, null = share(source, every), share(wrong, states[wrong] != states[source])
    stats = {"null": null, "pairs": PAIRS, "straight": straight, "kind": "directions"}
    return Measurement(value, stats=stats)


def _words(rng: np.random.Generator, letters: int, count: int, length: int) -> np.ndarray:
    shares = rng.dirichlet(np.full(letters, 0.7), size=count).cumsum(axis=1)
    shares[::2] = np.arange(1, letters + 1) / letters
    found: np.ndarray = (rng.random((count, length))[..., None] > shares[:, None, :-1]).sum(axis=-1)
    return found


def _held(program: Counter, machine: Quotient, words: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Counters and latch after so many letters of each word, ``[n, k]`` or ``[n, k + 1]``."""
    rows = np.arange(len(words))
    moves = np.array(program.steps, np.int64).reshape(len(program.alphabet), program.size)
    held: np.ndarray = moves[words].cumsum(axis=1)[rows, at - 1]
    if program.latch is None:
        return held
    dead = program.latched(words)[rows, at - 1]
    return np.column_stack([held, dead])
