"""Interchange interventions on networks that answer a word once."""

from __future__ import annotations

import numpy as np

from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.interchange import moved
from allroads.programs.mealy.quotient import Quotient
from allroads.results import Measurement

PAIRS = 512
"""Pairs of prefixes."""

CLOSE = 1e-8
"""Relative difference up to which the last outputs of the folded cell are the network's."""


def interchange_at_end(steps: Steps, machine: Quotient, length: int, seed: int) -> Measurement | None:
    """Interchange accuracy of a recurrent network that is asked at the end of its words alone.

    The hidden state after a prefix is exchanged for a mean: that of all hidden states that were seen in the machine
    state of another prefix as long. The network then reads the rest of its word. Its last answer must be the machine's
    from that state. Words keep their one length, as the machine says nothing of others.

    Args:
        steps: The network, with a cell.
        machine: The machine.
        length: Length of the words, at least 2.
        seed: Decides the words.

    Returns:
        The share, with ``null``, ``pairs`` and ``states`` seen in ``stats``. ``null`` is the same where the mean is
        that of another state, and 1 where there is one. ``None`` where folding the cell does not give the network's
        outputs.

    When it fails: a network that counts the letters too has several clouds for one machine state, and a low share.

    References: [geiger2021]

    Example:
        >>> from allroads.programs.mealy import Machine, compile_machine
        >>> from allroads.programs.subject import subject_of
        >>> from allroads import Network, Target
        >>> odd = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
        >>> network, params = compile_machine(odd, length=6)
        >>> once = Network(network.init, lambda p, x: network.apply(p, x)[:, -1], network.cell)
        >>> steps = Steps(subject_of(once, params, Target("odd", alphabet=2, length=6, function=lambda w: sum(w) % 2)))
        >>> table = np.array([[0, 1], [1, 0]])
        >>> found = interchange_at_end(steps, Quotient(table, table[..., None], steps.start()), 6, 0)
        >>> found.value, found.stats["null"]
        (1.0, 0.0)
    """
    if length < 2:
        return None
    rng = np.random.default_rng(seed)
    words = rng.integers(len(steps.letters), size=(2 * PAIRS, length))
    hidden, _ = steps.run(np.repeat(steps.start(), 2 * PAIRS, axis=0), words)
    own = steps.subject.outputs(steps.padded(words))
    off = np.abs(steps.move(hidden[:, -2], words[:, -1])[1] - own) / (1 + np.abs(own))
    if not float(off.max()) <= CLOSE:
        return None
    states = machine.states(words)[:, 1:length]
    seen = np.unique(states)
    means = np.zeros((len(machine.moves), hidden.shape[2]))
    for q in seen:
        means[q] = hidden[:, 1:length][states == q].mean(axis=0)
    other = np.zeros(len(machine.moves), int)
    other[seen] = seen[moved(rng, len(seen))]
    follows, null = np.zeros(PAIRS, bool), np.ones(PAIRS, bool)
    at = rng.integers(1, length, size=PAIRS)
    for t in np.unique(at):
        rows = np.flatnonzero(at == t)
        source, rest = states[PAIRS + rows, t - 1], words[rows, t:]
        wanted = machine.run(rest, source)[:, -1]
        follows[rows] = (steps.run(means[source], rest)[1][:, -1] == wanted).all(axis=1)
        if len(seen) > 1:
            null[rows] = (steps.run(means[other[source]], rest)[1][:, -1] == wanted).all(axis=1)
    return Measurement(float(follows.mean()), stats={"null": float(null.mean()), "pairs": PAIRS, "states": len(seen)})
