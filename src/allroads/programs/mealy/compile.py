"""Compilation of a machine: a recurrent network that computes it at all lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from allroads.checks import check_choice, check_count, check_positive
from allroads.errors import InputError
from allroads.networks.recurrent import recurrent
from allroads.pfmap.network import Network, Params
from allroads.programs.mealy.machine import Machine
from allroads.programs.mealy.rule import letter_values

CELLS = {"elman": "tanh", "relu": "relu"}
"""Kinds of cell, with their activation."""


def compile_machine(
    machine: Machine,
    *,
    cell: str = "elman",
    length: int = 10,
    numbers: bool = False,
    output_alphabet: Any = None,
    gain: float | None = None,
) -> tuple[Network, Params]:
    """A recurrent network, and a point at which it computes a machine at all lengths.

    There is one unit for each state q and letter a: it is on when the machine was in q and reads a. Its input from the
    units before is the state that they lead to, and it adds the letter: an AND. One more unit is on from the first
    position on, so that hidden states may start at zero. With ``elman`` a unit is ``tanh(g v)``, with v at least 1/2
    away from 0. With ``relu`` it is the difference of two units, ``max(0, g v + 1/2) − max(0, g v − 1/2)``. That is
    exactly 0 or 1. Where numbers are read, a unit is on for letters from a threshold upwards instead.

    Args:
        machine: The machine; its minimal form is compiled.
        cell: ``"elman"`` or ``"relu"``.
        length: Length T of the network's inputs.
        numbers: Whether the network reads the symbols as numbers ``[N, T, D]`` and answers with numbers; otherwise it
            reads tokens, positions among the symbols in the order of the letters, and gives a score per output symbol.
        output_alphabet: The output symbols in the order of the scores; default 0, 1, … up to the largest output.
        gain: g above; default 24 for ``elman`` and 2 for ``relu``.

    Returns:
        ``(network, params)``. Scores differ by 1 between the answer and the others, so their margin is 1/2; numbers are
        whole. Both are exact for ``relu``, and for ``elman`` up to ``2 S A exp(−g)``.

    Raises:
        InputError: If there is no such cell, letters or outputs are not numbers where these are asked for, or an output
            is not in ``output_alphabet``.

    References: [minsky1967]

    Example:
        >>> parity = Machine((0, 1), ((0, 1), (1, 0)), ((0, 1), (1, 0)))
        >>> network, params = compile_machine(parity, cell="relu", length=4)
        >>> network.apply(params, np.array([[1, 0, 1, 1]])).argmax(-1).tolist()
        [[1, 1, 0, 1]]
    """
    if not isinstance(machine, Machine):
        raise InputError(f"machine: expected a Machine; got {machine!r}.")
    check_choice("cell", cell, CELLS)
    check_count("length", length)
    check_positive(gain=gain)
    least = machine.canonical()
    reading = (_numbers if numbers else _tokens)(least)
    states, size = least.states, len(least.alphabet)
    told = _told(least, numbers, output_alphabet)
    # The indicator of (q, a) is Σ_j on[a, j] u(q, j); lead[q, (q', j)] adds up those that lead to q.
    lead = np.zeros((states, states, size))
    for q in range(states):
        for a in range(size):
            lead[least.transitions[q][a], q] += reading.on[a]
    answer = np.einsum("qac,aj->qjc", told, reading.on).reshape(states * size, -1)
    first = np.repeat(np.arange(states) == 0, size) * 1.0
    between = np.repeat(lead.reshape(states, -1).T, size, axis=1)  # [units, units]
    plan = _Plan(
        inputs=np.tile(reading.weights, (1, states)),
        between=reading.outweighs * between,
        started=-reading.outweighs * first,
        bias=np.tile(reading.bias, states) + reading.outweighs * first,
        answer=answer,
    )
    layer, readout = _tanh(plan, gain or 24.0) if cell == "elman" else _relu(plan, gain or 2.0)
    shape = (length, reading.channels) if numbers or reading.channels > 1 else (length,)
    network = recurrent(shape, answer.shape[1], vocabulary=reading.vocabulary, per_position=True, cell="elman",
                        width=len(layer["bias"]), activation=CELLS[cell])  # fmt: skip
    params = {"layers": [_arrays(layer)], "readout": _arrays(readout)}
    return network, params


@dataclass(frozen=True, eq=False)
class _Reading:
    """How units see the letters: unit (q, j) is on where ``outweighs (m_q − 1) + x weights_j + …`` is above 0."""

    channels: int
    vocabulary: int | None
    weights: np.ndarray  # [features, A]
    bias: np.ndarray  # [A], with −outweighs in it
    on: np.ndarray  # [A, A]: the indicator of letter a in terms of units j
    outweighs: float


def _tokens(machine: Machine) -> _Reading:
    """One unit per letter, on where every channel holds its symbol."""
    rows = [letter if isinstance(letter, tuple) else (letter,) for letter in machine.alphabet]
    symbols = list(dict.fromkeys(s for row in rows for s in row))
    channels, count = len(rows[0]), len(rows)
    weights = np.zeros((channels, len(symbols), count))
    for a, row in enumerate(rows):
        for channel, symbol in enumerate(row):
            weights[channel, symbols.index(symbol), a] = 1
    bias = np.full(count, -channels - 0.5)
    return _Reading(channels, len(symbols), weights.reshape(-1, count), bias, np.eye(count), 1.0)


def _numbers(machine: Machine) -> _Reading:
    """One unit per letter in the order of a weighted sum of its numbers, on from a threshold upwards."""
    values, own = letter_values(machine.alphabet)
    if not own:
        raise InputError(f"letters: expected whole numbers to read as such; got {machine.alphabet[:8]!r}.")
    table = np.array(values, float)
    count, channels = table.shape
    mix = (table.max() - table.min() + 1) ** np.arange(channels)[::-1]
    code = table @ mix
    order = np.argsort(code)
    ordered = code[order]
    middle = (np.concatenate([[ordered[0] - 1], ordered[:-1]]) + ordered) / 2
    on = np.zeros((count, count))
    for j, a in enumerate(order):
        on[a, j] = 1
        if j + 1 < count:
            on[a, j + 1] = -1
    outweighs = ordered[-1] - ordered[0] + 2
    return _Reading(channels, None, np.repeat(mix[:, None], count, axis=1), -outweighs - middle, on, outweighs)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Units u that are 0 or 1: on where ``x inputs + u between + started s + bias > 0``, at least 1/2 from 0."""

    inputs: np.ndarray
    between: np.ndarray
    started: np.ndarray
    bias: np.ndarray
    answer: np.ndarray


def _tanh(plan: _Plan, gain: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Units ±1 in place of 0 and 1, and 0 before the start; the last unit is s."""
    width = len(plan.bias)
    hidden = np.zeros((width + 1, width + 1))
    hidden[:width, :width] = plan.between / 2
    hidden[width, :width] = plan.started + plan.between.sum(axis=0) / 2
    inputs = np.concatenate([plan.inputs, np.zeros((len(plan.inputs), 1))], axis=1)
    layer = {"input": gain * inputs, "hidden": gain * hidden, "bias": gain * np.concatenate([plan.bias, [1.0]])}
    weight = np.concatenate([plan.answer / 2, plan.answer.sum(axis=0, keepdims=True) / 2])
    return layer, {"weight": weight, "bias": np.zeros(weight.shape[1])}


def _relu(plan: _Plan, gain: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Each unit as the difference of two; the last unit is s."""
    width = len(plan.bias)
    rows = np.concatenate([plan.between, -plan.between, plan.started[None]])
    hidden = np.concatenate([gain * rows, gain * rows, np.zeros((2 * width + 1, 1))], axis=1)
    inputs = np.concatenate([gain * plan.inputs] * 2 + [np.zeros((len(plan.inputs), 1))], axis=1)
    bias = np.concatenate([gain * plan.bias + 0.5, gain * plan.bias - 0.5, [1.0]])
    weight = np.concatenate([plan.answer, -plan.answer, np.zeros((1, plan.answer.shape[1]))])
    return {"input": inputs, "hidden": hidden, "bias": bias}, {"weight": weight, "bias": np.zeros(weight.shape[1])}


def _arrays(leaves: dict[str, np.ndarray]) -> Params:
    return {name: jnp.asarray(value) for name, value in leaves.items()}


def _told(machine: Machine, numbers: bool, output_alphabet: Any) -> np.ndarray:
    """Outputs of each state and letter, ``[S, A, C]``: the numbers, or 1 for the answer's score and 0 for others."""
    flat = [o for row in machine.outputs for o in row]
    if numbers:
        rows = [[o if isinstance(o, tuple) else (o,) for o in row] for row in machine.outputs]
        try:
            return np.array(rows, float)
        except (TypeError, ValueError) as error:
            raise InputError(f"outputs: expected numbers to answer with; got {flat[:8]!r} ({error}).") from error
    if output_alphabet is None:
        if not all(isinstance(o, int) and o >= 0 for o in flat):
            raise InputError(f"output_alphabet: outputs are {flat[:8]!r}; give their order.")
        output_alphabet = range(max(2, max(flat) + 1))
    symbols = list(range(output_alphabet) if isinstance(output_alphabet, int) else output_alphabet)
    missing = [o for o in flat if o not in symbols]
    if missing:
        raise InputError(f"output_alphabet: the output {missing[0]!r} is not in it; add it.")
    chosen = np.array([[symbols.index(o) for o in row] for row in machine.outputs])
    found: np.ndarray = np.eye(len(symbols))[chosen]
    return found
