"""Cell of a recurrent network, derived from the loops in its trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from allroads.pfmap.jaxpr.walk import bind, interpret, trace
from allroads.pfmap.network import Cell, Network, Params

TOLERANCE = 1e-4
"""Largest difference, over the size of the outputs, between the folded cell and the network; single precision."""

NONLINEAR = ("tanh", "logistic", "erf", "sin", "cos")
"""Functions of single numbers of which a step may have one; attention has others, ``exp`` and ``max``."""


def recurrent_cell(network: Network, params: Params, inputs: Any) -> Cell | None:
    """The step and the state of a network that reads its inputs position by position in ``scan`` loops.

    The network is traced on sequences of one position. The carries of its loops are the state: the step sets them,
    and reads them after the loop. Folding the step over the examples must give the network's own outputs; otherwise,
    as for a network that reads in both directions, there is no cell. Of a network with one output per sequence, the
    step's output is what the network would answer there, and the last one must be the network's own. So must be that
    after half of the positions, where the network reads as few.

    Args:
        network: A network whose outputs are one per position, ``[N, T, C]``, or one per sequence, ``[N, C]``.
        params: A point.
        inputs: Examples ``[N, T, …]`` with T of 2 or more.

    Returns:
        The cell; ``None`` where the network has no loop over the positions, or folding gives other outputs.

    Example:
        >>> def apply(w, x):  # a running sum, scaled
        ...     total = jax.lax.scan(lambda s, column: (s + column, s + column), jnp.zeros(len(x)), x.T)[1]
        ...     return (w * total.T)[..., None]
        >>> x = jnp.arange(6.0).reshape(2, 3)
        >>> cell = recurrent_cell(Network(lambda key: 1.0, apply), jnp.array(2.0), x)
        >>> state, output = cell.step(jnp.array(2.0), cell.initial_state(jnp.array(2.0), 2), x[:, 0])
        >>> [leaf.tolist() for leaf in state], output.tolist()
        ([[0.0, 3.0]], [[0.0], [6.0]])
    """
    inputs = jnp.asarray(inputs)
    if inputs.ndim < 2 or inputs.shape[1] < 2:
        return None
    shape, kind = inputs.shape[2:], inputs.dtype

    def start(params: Params, batch: int) -> Any:
        return _run(network, params, jnp.zeros((batch, 1, *shape), kind), None)[0]

    def step(params: Params, state: Any, x: Any) -> tuple[Any, Any]:
        _, state, outputs = _run(network, params, jnp.asarray(x)[:, None], state)
        return state, outputs[:, 0] if outputs.ndim == 3 else outputs

    try:
        state = start(params, len(inputs))
        if not state or not _loops_over(network, params, inputs, len(state)):
            return None
        expected, found = network.apply(params, inputs), []
        for position in range(inputs.shape[1]):
            state, output = step(params, state, inputs[:, position])
            found.append(output)
    except Exception:  # a network that is fixed to one length, or that reads something else than sequences
        return None
    folded = np.stack([np.asarray(output) for output in found], axis=1)
    if expected.ndim == 3:
        return Cell(start, step) if _same(folded, expected) else None
    half = inputs.shape[1] // 2
    try:
        shorter = network.apply(params, inputs[:, :half])
    except Exception:  # a network that is fixed to one length
        shorter = folded[:, half - 1]
    return Cell(start, step) if _same(folded[:, -1], expected) and _same(folded[:, half - 1], shorter) else None


def _same(folded: np.ndarray, expected: Any) -> bool:
    if folded.shape != expected.shape:
        return False
    size = max(float(jnp.abs(expected).max()), 1e-30)
    return bool(np.abs(folded - np.asarray(expected)).max() <= TOLERANCE * size)


def steps_seen(network: Network, params: Params, inputs: Any) -> bool:
    """Whether a network seems to read its inputs position by position, in a loop or in one that is written out.

    So it seems where the trace has a ``scan`` over the positions, more operations on more positions, or one nonlinear
    function at least as often as there are positions.

    Args:
        network: The network.
        params: A point.
        inputs: Examples ``[N, T, …]``.

    Returns:
        Whether it does; false where T is below 3, or the network cannot be traced.

    When it fails: a network without loops that has as many layers as there are positions looks alike. A loop of other
    functions that is fixed to one length is missed.

    Example:
        >>> def apply(w, x):
        ...     total = jnp.zeros(len(x))
        ...     for position in range(x.shape[1]):
        ...         total = jnp.tanh(w * total + x[:, position])
        ...     return total[:, None]
        >>> steps_seen(Network(lambda key: 1.0, apply), jnp.array(2.0), jnp.ones((2, 5)))
        True
        >>> steps_seen(Network(lambda key: 1.0, lambda w, x: jnp.tanh(w * x)), jnp.array(2.0), jnp.ones((2, 5)))
        False
    """
    inputs = jnp.asarray(inputs)
    if inputs.ndim < 2 or inputs.shape[1] < 3:
        return False
    try:
        whole = _primitives(network, params, inputs)
    except Exception:  # a network that is no function of JAX arrays alone
        return False
    if whole["scan"] or any(whole[name] >= inputs.shape[1] for name in NONLINEAR):
        return True
    try:
        half = _primitives(network, params, inputs[:, : inputs.shape[1] // 2])
    except Exception:  # a network that is fixed to one length
        return False
    return bool(sum(whole.values()) - sum(half.values()) >= inputs.shape[1] - inputs.shape[1] // 2)


def _primitives(network: Network, params: Params, inputs: Any) -> Counter[str]:
    """How often each primitive is in the trace; loops count where they are as long as the inputs."""
    found: Counter[str] = Counter()

    def rule(number: int, equation: core.JaxprEqn, operands: list[None]) -> list[None]:
        name = equation.primitive.name
        if name != "scan" or equation.params["length"] == inputs.shape[1]:
            found[name] += 1
        return [None] * len(equation.outvars)

    jaxpr = trace(network.apply, params, inputs).jaxpr
    interpret(jaxpr, [None] * len(jaxpr.constvars), [None] * len(jaxpr.invars), rule, lambda value: None)
    return found


def _run(network: Network, params: Params, inputs: Any, state: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
    """Carries before and after the loops over one position, and the outputs; with a state, the loops begin there.

    A loop over one position is replaced by its body.
    """
    traced = trace(network.apply, params, inputs)
    before: list[Any] = []
    after: list[Any] = []

    def rule(number: int, equation: core.JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        if equation.primitive.name != "scan" or equation.params["length"] != 1:
            return bind(equation, operands)
        first, count = equation.params["num_consts"], equation.params["num_carry"]
        operands = list(operands)
        for index in range(first, first + count):
            if state is not None:
                operands[index] = state[len(before)]
            before.append(operands[index])
        body, columns = equation.params["jaxpr"], operands[first + count :]
        given = [*operands[: first + count], *(column[0] for column in columns)]
        outputs = interpret(body.jaxpr, body.consts, given, lambda _, inner, values: bind(inner, values), lambda v: v)
        after.extend(outputs[:count])
        return [*outputs[:count], *(output[None] for output in outputs[count:])]

    args = [*jax.tree.leaves(params), *jax.tree.leaves(inputs)]
    outputs = interpret(traced.jaxpr, traced.consts, args, rule, lambda value: value)
    return tuple(before), tuple(after), jax.tree.unflatten(traced.structure, outputs)


def _loops_over(network: Network, params: Params, inputs: Any, carries: int) -> bool:
    """Whether the loops over the whole sequence are those over one position, each as long as the sequence."""
    found = 0

    def rule(number: int, equation: core.JaxprEqn, operands: list[None]) -> list[None]:
        nonlocal found
        if equation.primitive.name == "scan" and equation.params["length"] == inputs.shape[1]:
            found += equation.params["num_carry"]
        return [None] * len(equation.outvars)

    jaxpr = trace(network.apply, params, inputs).jaxpr
    interpret(jaxpr, [None] * len(jaxpr.constvars), [None] * len(jaxpr.invars), rule, lambda value: None)
    return found == carries
