"""Calls, loops and branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allroads.pfmap.calls import called
from allroads.pfmap.symmetries.axes import Atom
from allroads.pfmap.symmetries.trace import Array, Axis, Trace


def call(trace: Trace, equation: Any, operands: Sequence[Array], capture: bool) -> list[Array]:
    """A call of a function."""
    body = called(equation)
    assert body is not None
    jaxpr, consts = body
    return trace.run(jaxpr, [trace.constant(c) for c in consts], operands, capture)


def _carried(trace: Trace, starts: Sequence[Array]) -> list[Array]:
    """What goes round a loop: axes as at the start, grades to be found."""
    states = []
    for start in starts:
        axes = []
        for axis in start.axes:
            state = trace.unknown(axis.atom)
            if not start.neutral(1):
                trace.same([state, axis])
            axes.append(state)
        states.append(Array(tuple(axes)))
    return states


def _close(trace: Trace, states: Sequence[Array], ends: Sequence[Array]) -> None:
    for state, end in zip(states, ends, strict=True):
        for axis, other in zip(state.axes, end.axes, strict=True):
            trace.align(axis, other)
            if not end.neutral(1):
                trace.same([axis, other])


def scan(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """A loop over an axis: the state has the same axes before and after every step."""
    params = equation.params
    first, count = params["num_consts"], params["num_consts"] + params["num_carry"]
    steps = Atom(params["length"], {"the steps of a loop"})
    for x in operands[count:]:
        trace.align(Axis(steps), x.axes[0])
        trace.vanish(x.axes[0])
    states = _carried(trace, operands[first:count])
    inputs = [Array(x.axes[1:]) for x in operands[count:]]
    body = params["jaxpr"]
    leave = trace.loop(steps)
    outputs = trace.run(body.jaxpr, [trace.constant(c) for c in body.consts], [*operands[:first], *states, *inputs])
    leave()
    _close(trace, states, outputs[: len(states)])
    return [*states, *(Array((Axis(steps), *y.axes)) for y in outputs[len(states) :])]


def while_(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """A loop until a condition fails."""
    params = equation.params
    own, other = params["cond_nconsts"], params["body_nconsts"]
    states = _carried(trace, operands[own + other :])
    for key, consts in (("cond_jaxpr", operands[:own]), ("body_jaxpr", operands[own : own + other])):
        body = params[key]
        outputs = trace.run(body.jaxpr, [trace.constant(c) for c in body.consts], [*consts, *states])
    _close(trace, states, outputs)
    return states


def cond(trace: Trace, equation: Any, operands: Sequence[Array]) -> list[Array]:
    """A choice between functions of the same operands."""
    _, *args = operands
    ways = [
        trace.run(branch.jaxpr, [trace.constant(c) for c in branch.consts], args)
        for branch in equation.params["branches"]
    ]
    results = _carried(trace, ways[0])
    for way in ways[1:]:
        _close(trace, results, way)
    return results


RULES = {"scan": scan, "while": while_, "cond": cond}
