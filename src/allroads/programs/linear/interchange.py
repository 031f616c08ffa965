"""Interchange interventions: one number of a recurrence, exchanged inside the hidden states of a network."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.programs.linear.ask import Oracle
from allroads.programs.linear.recurrence import Recurrence
from allroads.results import Measurement

PAIRS = 256
"""Pairs of prefixes that are drawn."""
CUTOFF = 1e-6
"""Singular values of the states of the program, relative to the largest, that count as 0."""


def interchange(oracle: Oracle, program: Recurrence, inputs: np.ndarray, seed: int) -> Measurement | None:
    """Share of interventions on one program state after which the network answers as the program then does.

    Hidden states are fitted as an affine function of program states on prefixes (least squares). Other prefixes are
    bases and sources. In a base's hidden state the direction of one program state is moved, from the base's value to
    the source's. The program is run from its own state with that one number exchanged, and the rounded answers on
    what follows are compared. Only interventions that change the program's answers count.

    Args:
        oracle: The network.
        program: The recurrence.
        inputs: Sequences ``[N, T, D]`` that the network is used on.
        seed: Decides the pairs.

    Returns:
        The share; ``stats["null"]`` is the share where the program is given the number of a wrong source. ``None``
        where the program has no state that can be exchanged, or T is 1.

    References: [geiger2021] [geiger2024]
    """
    rng = np.random.default_rng(seed)
    count, positions = inputs.shape[:2]
    if not program.states or positions < 2 or count < 4:
        return None
    hidden, states = oracle.run(inputs)[1], program.answer_states(inputs).astype(float)
    half = count // 2
    cuts = rng.integers(1, positions, size=(3, PAIRS))
    shown = np.linspace(0, 1, num=min(half, 128), endpoint=False) * half
    rows = shown.astype(int)
    fitted = states[rows, :-1].reshape(-1, program.states)
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    live = np.flatnonzero(spread > CUTOFF * max(1.0, float(spread.max(initial=0.0))))
    if not len(live):
        return None
    design = np.column_stack([(fitted - mean)[:, live] / spread[live], np.ones(len(fitted))])
    directions = np.linalg.lstsq(design, hidden[rows, :-1].reshape(len(fitted), -1), rcond=CUTOFF)[0][:-1]
    base, source, wrong = half + rng.integers(count - half, size=(3, PAIRS))
    which = rng.integers(len(live), size=PAIRS)
    column, cut = live[which], cuts[0]
    place = cut - 1
    at_base, pairs = states[base, place], np.arange(PAIRS)
    new, other = states[source, cuts[1] - 1, column], states[wrong, cuts[2] - 1, column]
    moved = hidden[base, place] + ((new - at_base[pairs, column]) / spread[column])[:, None] * directions[which]
    tail = positions - 1
    # what follows is cut to the same length for all pairs and compared as far as the sequences go
    follows = np.stack([np.roll(inputs[b], -c, axis=0)[:tail] for b, c in zip(base, cut, strict=True)])
    within = np.arange(tail)[None] < (positions - cut)[:, None]
    said = np.rint(oracle.run(follows, moved)[0])

    def expected(value: np.ndarray) -> Any:
        changed = at_base.copy()
        changed[pairs, column] = value
        return program.follow(follows, np.rint(changed).astype(np.int64))[0]

    def agree(answers: Any, others: Any) -> np.ndarray:
        same: np.ndarray = ((answers == others).all(axis=2) | ~within).all(axis=1)
        return same

    unchanged = expected(at_base[pairs, column])
    right, null = expected(new), expected(other)
    counts = ~agree(right, unchanged)
    null_counts = counts & ~agree(null, right)
    if not counts.any():
        return None
    hit = agree(said, right)
    missed = agree(said, null)
    return Measurement(
        float(hit[counts].mean()),
        stats={
            "null": float(missed[null_counts].mean()) if null_counts.any() else 0.0,
            "pairs": int(counts.sum()),
            "states": len(live),
        },
    )
