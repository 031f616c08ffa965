"""ReLU circuits of integer terms: layers of weights that compute them exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Cell, Network, Params
from allroads.programs.piecewise.term import Term

Affine = dict[int, float]
"""Coefficients of nodes; node −1 is the number 1."""

ONE = -1


def constant(value: float) -> Affine:
    """A number."""
    return {ONE: float(value)}


def plus(*parts: tuple[float, Affine]) -> Affine:
    """A weighted sum.

    Example:
        >>> plus((1, {0: 1.0}), (-2, constant(3)))
        {0: 1.0, -1: -6.0}
    """
    found: Affine = {}
    for weight, part in parts:
        for node, value in part.items():
            found[node] = found.get(node, 0.0) + weight * value
    return {node: value for node, value in found.items() if value}


@dataclass
class Circuit:
    """A ReLU circuit under construction: inputs are nodes 0 … n − 1, every other node is max(0, affine).

    Args:
        inputs: How many inputs there are.
    """

    inputs: int
    units: dict[int, Affine] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)
    known: dict[tuple[tuple[int, float], ...], int] = field(default_factory=dict)

    def relu(self, value: Affine) -> Affine:
        """max(0, value)."""
        if set(value) <= {ONE}:
            return constant(max(0.0, value.get(ONE, 0.0)))
        key = tuple(sorted(value.items()))
        if key not in self.known:
            node = self.inputs + len(self.units)
            self.known[key], self.units[node] = node, value
            self.levels[node] = 1 + max(self.levels.get(n, 0) for n in value)
        return {self.known[key]: 1.0}

    def over(self, value: Affine, threshold: float) -> Affine:
        """1 where a whole number is at least a whole threshold, else 0."""
        upper = self.relu(plus((1, value), (1, constant(1 - threshold))))
        return plus((1, upper), (-1, self.relu(plus((1, value), (1, constant(-threshold))))))

    def equal(self, value: Affine, number: float) -> Affine:
        """1 where a whole number is a whole number, else 0."""
        off = plus((1, value), (1, constant(-number)))
        up, at, down = (self.relu(plus((1, off), (1, constant(k)))) for k in (1, 0, -1))
        return plus((1, up), (-2, at), (1, down))

    def term(self, term: Term, variables: Mapping[str, Affine]) -> Affine:
        """The value of a term, given those of its variables."""
        if not term.args:
            return variables[term.head] if isinstance(term.head, str) else constant(term.head)
        a, *rest = (self.term(part, variables) for part in term.args)
        if term.head == "abs":
            return plus((2, self.relu(a)), (-1, a))
        (b,) = rest
        apart = plus((1, b), (-1, a))
        if term.head == "max":
            return plus((1, a), (1, self.relu(apart)))
        if term.head == "min":
            return plus((1, b), (-1, self.relu(apart)))
        if term.head == "<":
            return self.over(apart, 1)
        if term.head in ("==", "!="):
            same = self.equal(apart, 0)
            return same if term.head == "==" else plus((1, constant(1)), (-1, same))
        return plus((1, a), (1 if term.head == "+" else -1, b))

    def layers(self, outputs: Sequence[Affine]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights and biases of layers ``z ← max(0, z W + b)``, the last without the maximum.

        What a later layer reads of an earlier one is carried along: an input by the units max(0, v) and max(0, −v), any
        other node, which is never negative, by itself.
        """
        depth = max((self.levels.get(n, 0) for value in outputs for n in value), default=0)
        wanted: list[set[int]] = [set() for _ in range(depth + 1)]
        wanted[depth] = {n for value in outputs for n in value if n != ONE}
        for level in range(depth, 0, -1):
            for node in wanted[level]:
                own = self.levels.get(node, 0) == level
                wanted[level - 1] |= ({n for n in self.units[node] if n != ONE}) if own else {node}
        signals: dict[int, Affine] = {n: {n: 1.0} for n in range(self.inputs)}
        width, found = self.inputs, []
        for level in range(1, depth + 1):
            rows: list[Affine] = []
            following: dict[int, Affine] = {}
            for node in sorted(wanted[level]):
                if self.levels.get(node, 0) == level:
                    value = plus(*((w, constant(1) if n == ONE else signals[n]) for n, w in self.units[node].items()))
                    rows.append(value)
                    following[node] = {len(rows) - 1: 1.0}
                else:
                    rows.append(signals[node])
                    following[node] = {len(rows) - 1: 1.0}
                    if node < self.inputs:
                        rows.append(plus((-1, signals[node])))
                        following[node][len(rows) - 1] = -1.0
            found.append(_matrix(rows, width))
            signals, width = following, len(rows)
        last = [plus(*((w, constant(1) if n == ONE else signals[n]) for n, w in value.items())) for value in outputs]
        return [*found, _matrix(last, width)]


def _matrix(rows: Sequence[Affine], width: int) -> tuple[np.ndarray, np.ndarray]:
    weight, bias = np.zeros((width, len(rows))), np.zeros(len(rows))
    for column, row in enumerate(rows):
        for node, value in row.items():
            if node == ONE:
                bias[column] = value
            else:
                weight[node, column] = value
    return weight, bias


def rectified(
    layers: Sequence[tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    *,
    length: int,
    channels: int,
    vocabulary: int | None,
    noise: float = 0.0,
    mix: int | None = None,
    seed: int = 0,
) -> tuple[Network, Params]:
    """A recurrent network whose step is a ReLU network of state and input, and a point at which it has given layers.

    Args:
        layers: Weights and biases of ``[state, input] → [state, outputs]``; tokens are read one-hot.
        start: The first state, ``[n]``.
        length: Length T of its inputs.
        channels: Numbers of a position, where it reads numbers.
        vocabulary: Number of letters, where it reads tokens ``[N, T]``.
        noise: Standard deviation of normal noise on every weight.
        mix: Seed of a random basis of the states, and of a random order and scale of the units; ``None`` for none.
        seed: Decides the noise.

    Returns:
        ``(network, params)`` with parameters ``{"start", "layers": [{"weight", "bias"}, …]}``.
    """
    n = len(start)
    made = [(w.copy(), b.copy()) for w, b in layers]
    start = np.array(start, float)
    if mix is not None:
        made, start = _mixed(made, start, np.random.default_rng(mix))
    rng = np.random.default_rng(seed)
    if noise:
        made = [(w + noise * rng.normal(size=w.shape), b + noise * rng.normal(size=b.shape)) for w, b in made]
    shape = (length,) if vocabulary is not None else (length, channels)

    def initial_state(params: Params, batch: int) -> Any:
        return jnp.tile(params["start"], (batch, 1))

    def step(params: Params, state: Any, x: Any) -> tuple[Any, Any]:
        if vocabulary is not None:
            read = (x[:, None] == jnp.arange(vocabulary)).astype(state.dtype)
        else:
            read = x.reshape(len(x), channels).astype(state.dtype)
        z = jnp.concatenate([state, read], axis=1)
        *hidden, last = params["layers"]
        for layer in hidden:
            z = jnp.maximum(z @ layer["weight"] + layer["bias"], 0.0)
        z = z @ last["weight"] + last["bias"]
        return z[:, :n], z[:, n:]

    def apply(params: Params, inputs: Any) -> Any:
        inputs = jnp.asarray(inputs)
        if inputs.shape[1:] != shape:
            raise InputError(f"the network reads inputs {shape}; got {inputs.shape[1:]}.")
        state, outputs = initial_state(params, len(inputs)), []
        for position in range(length):
            state, output = step(params, state, inputs[:, position])
            outputs.append(output)
        return jnp.stack(outputs, axis=1)

    kind: Any = np.float32 if noise == 0 and mix is None else np.float64
    chosen = {
        "start": start.astype(kind),
        "layers": [{"weight": w.astype(kind), "bias": b.astype(kind)} for w, b in made],
    }
    return Network(lambda key: chosen, apply, Cell(initial_state, step), "rectified"), chosen


def _mixed(
    layers: list[tuple[np.ndarray, np.ndarray]], start: np.ndarray, rng: np.random.Generator
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """The same function in another basis of the states, with units in another order and scale."""
    n = len(start)
    if n:
        turn, _ = np.linalg.qr(rng.normal(size=(n, n)))
        scale = 2.0 ** rng.uniform(-1, 1, n)
        change, back = turn * scale, (turn / scale).T  # s = h back, h = s change
        weight, bias = layers[0]
        layers[0] = np.concatenate([back @ weight[:n], weight[n:]]), bias
        weight, bias = layers[-1]
        layers[-1] = (
            np.concatenate([weight[:, :n] @ change, weight[:, n:]], axis=1),
            np.concatenate([bias[:n] @ change, bias[n:]]),
        )
        start = start @ change
    for k in range(len(layers) - 1):
        (weight, bias), (after, rest) = layers[k], layers[k + 1]
        order, scale = rng.permutation(len(bias)), 2.0 ** rng.uniform(-1, 1, len(bias))
        layers[k] = (weight * scale)[:, order], (bias * scale)[order]
        layers[k + 1] = (after / scale[:, None])[order], rest
    return layers, start
