"""Interchange interventions between machine states and what a causal network holds of the positions read so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.arrays import as_point
from allroads.pfmap.jaxpr import evaluate, intermediates
from allroads.pfmap.precision import float64
from allroads.programs.mealy.cells import Steps
from allroads.programs.mealy.quotient import Quotient
from allroads.results import Measurement

PAIRS = 256
"""Words that are drawn, and pairs of them."""

TRACE = 1e-6
"""Relative difference of outputs up to which the exchanged positions have left no trace."""


def interchange_of_positions(
    steps: Steps, machine: Quotient, length: int, seed: int, *, last: bool = False
) -> Measurement | None:
    """Interchange accuracy of a network without a cell: the first positions stand for the machine's state.

    A causal network keeps what it has read in its intermediates at the positions so far, such as keys and values. After
    a prefix of t letters all of these are exchanged for their means. A mean is over the prefixes of t letters that lead
    to some machine state, each state as often as the others. The network then reads its own suffix, and every answer
    there must be the machine's from that state. Positions keep their places, so that states are aligned at each t for
    itself, from half the length on. A state that one prefix alone leads to says nothing, and is not counted.

    Args:
        steps: The network.
        machine: The machine.
        length: Length of the words, at least 2.
        seed: Decides the words.
        last: Whether the network answers once, so that its answer is compared with the machine's last one.

    Returns:
        The share with ``stats``: ``null``, the same where the mean is that of another state (1 where there is one);
        ``sites``, how many intermediates are exchanged; ``pairs``; ``states`` seen. ``None`` where no intermediates
        hold all that the network knows of a prefix, or no state has two prefixes.

    When it fails: a network that adds up evidence over positions has no cloud for each state, and a low share.

    References: [geiger2021]
    """
    if length < 2:
        return None
    rng = np.random.default_rng(seed)
    letters = len(steps.letters)
    words = rng.integers(letters, size=(PAIRS, length))
    held = _sites(steps, words, rng)
    if held is None:
        return None
    states = machine.states(words)
    other_word = rng.permutation(PAIRS)
    follows, null, traces = [], [], []
    first = length // 2
    for t in range(first, length):
        rows = np.arange(t - first, PAIRS, length - first)
        here = states[:, t]
        seen = np.unique(here)
        several = [q for q in seen if len(np.unique(words[here == q, :t], axis=0)) > 1]
        if not several:
            continue
        wanted_state = rng.choice(several, size=len(rows))
        wanted = machine.run(words[rows, t:], wanted_state)[:, -1 if last else 0 :]
        order = rng.permutation(seen)
        moved = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
        outputs = held.exchanged(rows, t, here, wanted_state)
        asked = 0 if last else t
        follows.append(_alike(steps, outputs, wanted, asked))
        other = np.array([moved[q] for q in wanted_state.tolist()])
        null.append(_alike(steps, held.exchanged(rows, t, here, other), wanted, asked))
        # Another base with the same suffix must give the same outputs, or the base left a trace.
        again = held.exchanged(rows, t, here, wanted_state, prefixes=words[other_word[rows], :t])
        traces.append(float((np.abs(again - outputs) / (1 + np.abs(outputs)))[:, asked:].max()))
    if not traces or not max(traces) <= TRACE:
        return None
    value = float(np.concatenate(follows).mean())
    count = len(np.unique(states[:, first:length]))
    stats = {"null": float(np.concatenate(null).mean()), "sites": len(held.paths), "pairs": PAIRS, "states": count}
    return Measurement(value, stats=stats)


@dataclass(frozen=True, eq=False)
class _Held:
    """Intermediates with one entry per position, ``[N, T, …]``, on N words."""

    steps: Steps
    words: np.ndarray
    paths: tuple[str, ...]
    values: dict[str, np.ndarray]
    run: Any

    def exchanged(
        self, rows: np.ndarray, t: int, here: np.ndarray, wanted: np.ndarray, prefixes: np.ndarray | None = None
    ) -> np.ndarray:
        """Outputs on words whose first t positions hold the mean of a state's words."""
        words = self.words.copy()
        if prefixes is not None:
            words[rows, :t] = prefixes
        which = np.zeros(len(words), int)
        seen, index = np.unique(wanted, return_inverse=True)
        which[rows] = index.ravel()
        given = {}
        for path in self.paths:
            values = self.values[path]
            means = np.stack([values[here == q].mean(axis=0) for q in seen])
            given[path] = means[which]
        with float64():
            outputs = np.asarray(self.run(self.steps.padded(words), given, t))
        found: np.ndarray = outputs[rows]
        return found


def _sites(steps: Steps, words: np.ndarray, rng: np.random.Generator) -> _Held | None:
    """The intermediates ``[N, T, …]`` whose entries at a position depend on nothing that comes later."""
    subject = steps.subject
    count, length = words.shape
    with float64():
        point = as_point(subject.params, network=subject.network)
        inputs = steps.padded(words)
        paths = tuple(
            found.path
            for found in intermediates(subject.network.apply, point, inputs)
            if not found.steps
            and found.shape[:2] == (count, length)
            and len(found.shape) > 2
            and found.dtype.startswith("float")
        )

        def capture(tokens: Any) -> Any:
            return evaluate(subject.network.apply, point, tokens, capture=paths)[1]

        seen = jax.jit(capture)
        values = {path: np.asarray(value) for path, value in seen(inputs).items()}
        causal = set(paths)
        for t in {1, length // 2, length - 1} - {0}:
            other = words.copy()
            other[:, t:] = rng.integers(len(steps.letters), size=(count, length - t))
            for path, value in seen(steps.padded(other)).items():
                apart = np.abs(np.asarray(value)[:, :t] - values[path][:, :t])
                if not apart.max() <= TRACE * (1 + np.abs(values[path]).max()):
                    causal.discard(path)
        kept = tuple(path for path in paths if path in causal)
        if not kept:
            return None

        def run(tokens: Any, given: dict[str, Any], t: Any) -> Any:
            def swap(new: Any) -> Any:
                at = jnp.arange(length).reshape(1, length, *(1,) * (new.ndim - 2))
                return lambda old: jnp.where(at < t, new, old)

            return evaluate(subject.network.apply, point, tokens, replace={p: swap(v) for p, v in given.items()})[0]

        return _Held(steps, words, kept, {path: values[path] for path in kept}, jax.jit(run))


def _alike(steps: Steps, outputs: np.ndarray, wanted: np.ndarray, t: int) -> np.ndarray:
    said = steps.subject.decide(outputs)
    said = said[:, t:] if t else said
    found: np.ndarray = (said.reshape(wanted.shape) == wanted).all(axis=(1, 2))
    return found
