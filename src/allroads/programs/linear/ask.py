"""Questions to a recurrent network: its answers and hidden states on sequences of any length."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.precision import float64
from allroads.programs.subject import Subject

CHUNK = 256
"""Sequences that are run at once."""


class Oracle:
    """A recurrent network that answers sequences of any length, from its first state or from any other.

    Inputs are ``[N, T, D]``, outputs ``[N, T, C]`` and states ``[N, T, n]``, all in double precision; the state is the
    cell's, its leaves side by side.
    """

    def __init__(self, subject: Subject):
        assert subject.network.cell is not None
        self.cell, self.subject = subject.network.cell, subject
        self.shape = subject.target.interface.input_shape[1:]
        with float64():
            self.first = self.cell.initial_state(subject.params, 1)

    @property
    def start(self) -> np.ndarray:
        """The first state, ``[n]``."""
        return np.concatenate([np.asarray(leaf, dtype=float).ravel() for leaf in jax.tree.leaves(self.first)])

    @cached_property
    def _step(self) -> Any:
        def step(params: Any, state: Any, x: Any) -> Any:
            state, output = self.cell.step(params, state, x)
            leaves = [leaf.reshape(len(x), -1) for leaf in jax.tree.leaves(state)]
            return state, output, jnp.concatenate(leaves, axis=1)

        return jax.jit(step)

    def run(self, inputs: np.ndarray, start: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Outputs and states after every position, from states ``[N, n]`` or the first one."""
        count, positions = np.shape(inputs)[:2]
        states = np.broadcast_to(self.start, (count, self.start.size)) if start is None else start
        whole = -(-count // CHUNK) * CHUNK  # always as many at once, so that one step is compiled
        rows = np.arange(whole) % count
        inputs = np.asarray(inputs, dtype=float).reshape(count, positions, *self.shape)[rows]
        outputs, hidden = [], []
        with float64():
            for i in range(0, whole, CHUNK):
                state, said = self._packed(states[rows[i : i + CHUNK]]), []
                for position in range(positions):
                    state, *found = self._step(self.subject.params, state, inputs[i : i + CHUNK, position])
                    said.append([np.asarray(part) for part in found])
                outputs.append(np.stack([part[0] for part in said], axis=1))
                hidden.append(np.stack([part[1] for part in said], axis=1))
        return np.concatenate(outputs)[:count], np.concatenate(hidden)[:count]

    def _packed(self, states: np.ndarray) -> Any:
        leaves, structure = jax.tree.flatten(self.first)
        ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]
        parts = np.split(np.asarray(states, dtype=float), ends, axis=1)
        shaped = [p.reshape(len(p), *np.shape(leaf)[1:]) for p, leaf in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(
            structure, [jnp.asarray(p, leaf.dtype) for p, leaf in zip(shaped, leaves, strict=True)]
        )


def impulses(
    oracle: Oracle, low: np.ndarray, high: np.ndarray, terms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses of a network to an impulse in each channel, within the range of its inputs.

    The resting input is the number nearest to 0 of the range, the impulse the one farthest from it, as large as the
    range allows: what the network adds of its own then weighs least.

    Args:
        oracle: The network.
        low: Smallest input of each channel, ``[D]``.
        high: Largest.
        terms: Number K of positions.

    Returns:
        ``(response [K, C, D], free [K, C], rest [D])``: responses per unit, outputs to the resting input, that input.
    """
    rest = np.clip(0.0, low, high)
    far = np.where(high - rest >= rest - low, high, low)
    inputs = np.tile(rest, (len(rest) + 1, terms, 1))
    for channel, value in enumerate(far):
        inputs[channel + 1, 0, channel] = value
    outputs, _ = oracle.run(inputs)
    response = (outputs[1:] - outputs[0]) / (far - rest)[:, None, None]
    return np.moveaxis(response, 0, 2), outputs[0], rest


def superposed(response: np.ndarray, free: np.ndarray, rest: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Outputs ``[N, T, C]`` that an affine network with these responses gives to inputs ``[N, T, D]``, T ≤ K."""
    given = inputs - rest
    total = np.tile(free[: inputs.shape[1]], (len(inputs), 1, 1))
    for lag in range(inputs.shape[1]):
        total[:, lag:] += given[:, : inputs.shape[1] - lag] @ response[lag].T
    return total
