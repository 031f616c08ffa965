"""A network run equation by equation, with a note on every array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core

from allroads.pfmap.calls import called
from allroads.pfmap.network import Network, Params

Rule = Callable[[Any, Sequence[Any], Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Any]]
"""``rule(equation, operands, notes of them, outputs) -> (outputs, note of them)``."""


def replay(
    network: Network,
    params: Params,
    inputs: Any,
    of_params: Callable[[int], Any],
    of_inputs: Any,
    rule: Rule,
    derivatives: bool = False,
) -> tuple[Any, list[Any]]:
    """The outputs of a network, with every array as the rule gives it on, and the notes on them.

    Calls are gone into, loops and branches are one equation each.

    Args:
        network: The network.
        params: The point.
        inputs: As the network takes them.
        of_params: ``of_params(number)``: the note of a leaf of the parameters.
        of_inputs: The note of the inputs. Constants have the note ``None``.
        rule: What becomes of the outputs of an equation.
        derivatives: Whether functions with a derivative of their own are one equation too, so that it is kept.
    """
    closed, shape = jax.make_jaxpr(network.apply, return_shape=True)(params, inputs)
    noted = [(leaf, of_params(number)) for number, leaf in enumerate(jax.tree.leaves(params))]
    noted += [(leaf, of_inputs) for leaf in jax.tree.leaves(inputs)]
    outputs = _run(closed.jaxpr, closed.consts, noted, rule, derivatives)
    return jax.tree.unflatten(jax.tree.structure(shape), [value for value, _ in outputs]), [note for _, note in outputs]


def _run(
    jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], rule: Rule, derivatives: bool
) -> list[tuple[Any, Any]]:
    known = dict(zip(jaxpr.constvars, [(const, None) for const in consts], strict=True))
    known.update(zip(jaxpr.invars, args, strict=True))
    for equation in jaxpr.eqns:
        operands = [(var.val, None) if isinstance(var, core.Literal) else known[var] for var in equation.invars]
        own = derivatives and equation.primitive.name.startswith(("custom_", "checkpoint", "remat"))
        body = None if own else called(equation)
        if body is not None:
            found = _run(*body, operands, rule, derivatives)
        else:
            values = [value for value, _ in operands]
            outputs = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
            outputs = outputs if equation.primitive.multiple_results else [outputs]
            outputs, note = rule(equation, values, [note for _, note in operands], outputs)
            found = [(output, note) for output in outputs]
        known.update(zip(equation.outvars, found, strict=True))
    return [(var.val, None) if isinstance(var, core.Literal) else known[var] for var in jaxpr.outvars]
