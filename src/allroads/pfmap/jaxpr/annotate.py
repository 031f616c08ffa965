"""A network evaluated with an annotation on every array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core

from allroads.pfmap.jaxpr.walk import bind, called, interpret, trace
from allroads.pfmap.network import Network, Params

AnnotationRule = Callable[[int, core.JaxprEqn, Sequence[Any], Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Any]]
"""``rule(number, equation, operands, their annotations, outputs) -> (outputs, annotation of each)``."""


def evaluate_annotated(
    network: Network,
    params: Params,
    inputs: Any,
    of_params: Callable[[int], Any],
    of_inputs: Any,
    rule: AnnotationRule,
    keep_derivatives: bool = False,
) -> tuple[Any, list[Any]]:
    """The outputs of a network with every array as the rule passes it on, and the annotations of the outputs.

    Args:
        network: The network.
        params: The point.
        inputs: As the network takes them.
        of_params: ``of_params(number)``: the annotation of a leaf of the parameters.
        of_inputs: The annotation of the inputs. Constants have the annotation ``None``.
        rule: The outputs of an equation, changed or not, and their annotation.
        keep_derivatives: Whether functions with derivative rules of their own are single equations, so that the
            rules still hold. Otherwise they are entered.

    Example:
        How many products lie between a parameter and the output:

        >>> network = Network(lambda key: 2.0, lambda p, x: p * (p * x))
        >>> def count(number, equation, operands, annotations, outputs):
        ...     return outputs, max(n or 0 for n in annotations) + 1
        >>> outputs, found = evaluate_annotated(network, 2.0, 3.0, lambda number: 0, None, count)
        >>> float(outputs), found
        (12.0, [2])
    """
    traced = trace(network.apply, params, inputs)
    args = [(leaf, of_params(number)) for number, leaf in enumerate(jax.tree.leaves(params))]
    args += [(leaf, of_inputs) for leaf in jax.tree.leaves(inputs)]

    def pair(number: int, equation: core.JaxprEqn, operands: Sequence[Any]) -> list[tuple[Any, Any]]:
        values, annotations = [value for value, _ in operands], [annotation for _, annotation in operands]
        outputs, annotation = rule(number, equation, values, annotations, bind(equation, values))
        return [(output, annotation) for output in outputs]

    consts = [(const, None) for const in traced.consts]
    enter = _called_without_derivative if keep_derivatives else called
    results = interpret(traced.jaxpr, consts, args, pair, lambda value: (value, None), enter)
    outputs = jax.tree.unflatten(traced.structure, [value for value, _ in results])
    return outputs, [annotation for _, annotation in results]


def _called_without_derivative(equation: core.JaxprEqn) -> core.ClosedJaxpr | None:
    own = equation.primitive.name.startswith(("custom_", "checkpoint", "remat"))
    return None if own else called(equation)
