"""Interchange interventions between hidden states and the registers of a piecewise-linear recurrence."""

from __future__ import annotations

import numpy as np

from allroads.programs.linear.ask import Oracle
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.interchange import interchange as whole_states
from allroads.programs.mealy.quotient import Quotient
from allroads.programs.piecewise.recurrence import Piecewise
from allroads.results import Measurement

PAIRS = 256
"""Pairs of prefixes."""

STRAIGHT = 0.999
"""Share of the hidden states' variance that an affine function of the registers must explain for their direction."""


def interchange(
    oracle: Oracle, program: Piecewise, inputs: np.ndarray, machine: Quotient | None, seed: int
) -> Measurement | None:
    """Share of exchanged registers after which the network answers as the program then does.

    Hidden states may be an affine function of the registers, to one part in a thousand of their variance. The registers
    of another sequence are then put into a base's hidden state along their directions. Otherwise, and without
    registers, the hidden state is exchanged as for machines, where the registers take few values. It becomes the mean
    of those that were seen with the other's registers.

    Args:
        oracle: The network.
        program: The program.
        inputs: Sequences ``[N, T, D]`` that the network is used on.
        machine: The program as a machine; ``None`` where it has too many states.
        seed: Decides the pairs.

    Returns:
        The share with ``stats``: ``null``, the same share where the registers put in are those of a wrong sequence;
        ``pairs``; ``straight``, the share of the variance that is explained; ``kind``. ``None`` where neither exchange
        can be made.

    References: [geiger2021] [geiger2024]
    """
    rng = np.random.default_rng(seed)
    count, positions = inputs.shape[:2]
    straight = float("nan")
    if program.states and positions > 1 and count >= 8:
        hidden, held = oracle.run(inputs)[1], program.follow(inputs)[1].astype(float)
        shown, fresh = slice(0, count // 2), slice(count // 2, None)
        n = hidden.shape[2]
        design = np.concatenate([held, np.ones((count, positions, 1))], axis=2)
        rows, targets = design[shown].reshape(-1, held.shape[2] + 1), hidden[shown].reshape(-1, n)
        directions = np.linalg.lstsq(rows, targets, rcond=1e-9)[0]
        left = hidden[fresh] - design[fresh] @ directions
        apart = hidden[fresh] - hidden[fresh].mean(axis=(0, 1))
        straight = 1 - float((left**2).sum() / max((apart**2).sum(), 1e-300))
        if straight >= STRAIGHT:
            half = max(1, positions // 2)
            base, source, wrong, tail = count // 2 + rng.integers(count - count // 2, size=(4, PAIRS))
            cut = rng.integers(half, size=(3, PAIRS))
            follows = inputs[tail, : max(1, positions - half)]
            there = held[source, cut[1]]

            def said(value: np.ndarray) -> np.ndarray:
                moved = hidden[base, cut[0]] + (value - held[base, cut[0]]) @ directions[:-1]
                found: np.ndarray = np.rint(oracle.run(follows, moved)[0][..., 0])
                return found

            wanted = program.follow(follows, there.astype(np.int64))[0]
            other = held[wrong, cut[2]]
            null = ((said(other) == wanted).all(axis=1))[(other != there).any(axis=1)]
            value = float((said(there) == wanted).all(axis=1).mean())
            stats = {"null": float(null.mean()) if len(null) else 1.0, "pairs": PAIRS, "straight": straight,
                     "kind": "directions"}  # fmt: skip
            return Measurement(value, stats=stats)
    if machine is None or oracle.subject.letters is None:
        return None
    found = whole_states(Steps(oracle.subject), machine, positions, seed)
    return Measurement(found.value, stats={**found.stats, "straight": straight, "kind": "mean states"})
