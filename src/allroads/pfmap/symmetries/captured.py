"""Looking at the arrays inside a network while it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
from jax.extend import core

from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries.rules import control


def inside(network: Network, counts: Collection[int]) -> Callable[[Params, Any], dict[int, Any]]:
    """``run(params, inputs) -> {number: array}``: the arrays that the equations with these numbers give.

    Equations are numbered as :class:`Trace` numbers them: in the order in which they run, calls gone into, loops not.
    """

    def run(params: Params, inputs: Any) -> dict[int, Any]:
        closed = jax.make_jaxpr(network.apply)(params, inputs)
        seen: dict[int, Any] = {}
        _run(closed.jaxpr, closed.consts, jax.tree.leaves((params, inputs)), 0, counts, seen)
        return seen

    return jax.jit(run)


def _run(
    jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], count: int, wanted: Collection[int], seen: dict[int, Any]
) -> tuple[list[Any], int]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, core.Literal) else known[var]

    for equation in jaxpr.eqns:
        operands = [read(var) for var in equation.invars]
        body = control.called(equation)
        if body is not None:
            outputs, count = _run(*body, operands, count, wanted, seen)
        else:
            parameters = equation.primitive.get_bind_params(equation.params)
            outputs = equation.primitive.bind(*operands, **parameters)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        count += 1
        if count in wanted:
            seen[count] = outputs[0]
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(var) for var in jaxpr.outvars], count
