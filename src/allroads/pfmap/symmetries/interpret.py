"""Constraints of a jaxpr, gathered by walking it with arrays of axes in place of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.extend import core

from allroads.pfmap.jaxpr import bind, interpret, shaped
from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.constraints import SIGN, Array, Axis, Constraints
from allroads.pfmap.symmetries.rules import RULES
from allroads.pfmap.symmetries.rules.opaque import opaque

FOLDED = 1 << 20
"""Numbers of elements up to which an array that depends on nothing is computed."""


def gather_constraints(
    constraints: Constraints,
    jaxpr: core.Jaxpr,
    consts: Sequence[Array],
    args: Sequence[Array],
    capture: bool = False,
) -> list[Array]:
    """The outputs of a jaxpr; what it demands of axes is added to the constraints.

    Args:
        constraints: What is known so far.
        jaxpr: The equations.
        consts: What stands for its constants.
        args: What stands for its arguments.
        capture: Whether its arrays are outside loops, so that they can be captured.
    """

    def rule(number: int, equation: core.JaxprEqn, operands: list[Array]) -> Sequence[Array]:
        operands = [_separate(constraints, operand) for operand in operands]
        results = _folded(equation, operands)
        if results is not None:
            outputs = [constraints.constant(result) for result in results]
        else:
            name = equation.primitive.name
            outputs = (CONTROL.get(name) or RULES.get(name, opaque))(constraints, equation, operands)
        for var, output in zip(equation.outvars, outputs, strict=True):
            if output.shape != tuple(shaped(var).shape):
                raise AssertionError(f"{equation.primitive}: shape {output.shape}, expected {shaped(var).shape}")
            constraints.record(output.axes)
            if capture and len(equation.outvars) == 1 and shaped(var).dtype.kind == "f" and output.value is None:
                constraints.captured.append((number, output))
        return outputs

    outputs = interpret(jaxpr, consts, args, rule, constraints.constant)
    return [_separate(constraints, output) for output in outputs]


def _separate(constraints: Constraints, array: Array) -> Array:
    """An array of known numbers anew for each use, so that one constant does not tie its uses together."""
    return array if array.value is None else constraints.constant(array.value)


def _folded(equation: core.JaxprEqn, operands: Sequence[Array]) -> list[np.ndarray] | None:
    """The results of an operation on known numbers, where they are not large; else ``None``."""
    if any(operand.value is None for operand in operands) or equation.effects:
        return None
    if sum(shaped(var).size for var in equation.outvars) > FOLDED:
        return None
    if any(isinstance(value, core.Jaxpr | core.ClosedJaxpr) for value in equation.params.values()):
        return None
    with jax.ensure_compile_time_eval():
        arrays = [jax.numpy.asarray(operand.value) for operand in operands]
        return [np.asarray(result) for result in bind(equation, arrays)]


def _body(constraints: Constraints, body: core.ClosedJaxpr, args: Sequence[Array]) -> list[Array]:
    consts = [constraints.constant(const) for const in body.consts]
    return gather_constraints(constraints, body.jaxpr, consts, args)


def _carried(constraints: Constraints, starts: Sequence[Array]) -> list[Array]:
    """The state of a loop: axes as at the start, degrees to be found."""
    states = []
    for start in starts:
        axes = []
        for axis in start.axes:
            state = constraints.unknown(axis.atom)
            if not start.invariant_under(SIGN):
                constraints.equate([state, axis])
            axes.append(state)
        states.append(Array(tuple(axes)))
    return states


def _close(constraints: Constraints, states: Sequence[Array], ends: Sequence[Array]) -> None:
    """Demand that the state is the same before and after a step."""
    for state, end in zip(states, ends, strict=True):
        for axis, other in zip(state.axes, end.axes, strict=True):
            constraints.unify(axis, other)
            if not end.invariant_under(SIGN):
                constraints.equate([axis, other])


def scan(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A loop over an axis: the state has the same axes before and after every step."""
    params = equation.params
    first, count = params["num_consts"], params["num_consts"] + params["num_carry"]
    steps = Atom(params["length"], {"the steps of a loop"})
    for x in operands[count:]:
        constraints.unify(Axis(steps), x.axes[0])
        constraints.require_degree_zero(x.axes[0])
    states = _carried(constraints, operands[first:count])
    inputs = [Array(x.axes[1:]) for x in operands[count:]]
    with constraints.loop(steps):
        outputs = _body(constraints, params["jaxpr"], [*operands[:first], *states, *inputs])
    _close(constraints, states, outputs[: len(states)])
    return [*states, *(Array((Axis(steps), *y.axes)) for y in outputs[len(states) :])]


def while_(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A loop until a condition fails."""
    params = equation.params
    own, other = params["cond_nconsts"], params["body_nconsts"]
    states = _carried(constraints, operands[own + other :])
    _body(constraints, params["cond_jaxpr"], [*operands[:own], *states])
    outputs = _body(constraints, params["body_jaxpr"], [*operands[own : own + other], *states])
    _close(constraints, states, outputs)
    return states


def cond(constraints: Constraints, equation: core.JaxprEqn, operands: Sequence[Array]) -> list[Array]:
    """A choice between functions of the same operands."""
    _, *args = operands
    branches = [_body(constraints, branch, args) for branch in equation.params["branches"]]
    results = _carried(constraints, branches[0])
    for branch in branches[1:]:
        _close(constraints, results, branch)
    return results


CONTROL: dict[str, Callable[[Constraints, core.JaxprEqn, Sequence[Array]], list[Array]]] = {
    "scan": scan,
    "while": while_,
    "cond": cond,
}
"""Rules of loops and branches, which walk the bodies in turn."""
