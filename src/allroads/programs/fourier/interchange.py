"""Interchange interventions on the waves that a network holds in its hidden units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from allroads.results import Measurement

NEAR = np.pi / 4
"""Largest angle between a wave of the network and that of the program for the two to agree."""


def interchange(
    hidden: np.ndarray,
    outputs_from: Callable[[np.ndarray], np.ndarray],
    units: np.ndarray,
    frequencies: tuple[int, ...],
    residues: np.ndarray,
    seed: int,
) -> Measurement:
    """Share of exchanged waves that the network then answers with, as the program does.

    Each example is a base and a source, two pairs. Of a random half of the frequencies the hidden units are given the
    source's values. The program then adds waves of the base's residue and, for those frequencies, of the source's. The
    logits of the network are transformed over the answers, and a wave agrees where its phase is within 45° of the
    program's. Only waves count that the exchange turns by more than 90°.

    A layer whose units hold no waves, such as a table with a unit a pair, has the share 0, whatever its logits are.

    Args:
        hidden: Values ``[N, units]`` on all pairs.
        outputs_from: Outputs ``[N, p]`` from other values.
        units: Frequency of each unit, 0 where it has none.
        frequencies: Frequencies of the program.
        residues: Answer to each pair, ``[N]``.
        seed: Decides the sources, the frequencies and the null.

    Returns:
        The share; ``stats["null"]`` is that with the frequencies dealt anew to the units.

    References: [geiger2021]
    """
    rng = np.random.default_rng(seed)
    p = int(residues.max()) + 1
    key = np.array(sorted(frequencies))
    source = rng.permutation(len(hidden))
    taken = rng.random((len(hidden), len(key))) < 0.5
    turn = 2 * np.pi * key / p
    expected = np.where(taken, residues[source, None], residues[:, None]) * turn
    counts = taken & (np.cos((residues[source] - residues)[:, None] * turn) < 0)

    def hit(frequency: np.ndarray) -> float:
        column = np.minimum(np.searchsorted(key, frequency), len(key) - 1)
        moves = taken[:, column] & (key[column] == frequency)
        logits = outputs_from(np.where(moves, hidden[source], hidden))
        waves = np.fft.fft(logits, axis=1)[:, key] * np.exp(1j * expected)
        return float((np.abs(np.angle(waves)) < NEAR)[counts].mean()) if counts.any() else 0.0

    return Measurement(hit(units), stats={"null": hit(rng.permutation(units)), "waves": int(counts.sum())})
