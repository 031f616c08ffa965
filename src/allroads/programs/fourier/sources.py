"""Which nonlinear layers an intermediate is an affine function of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend import core

from allroads.pfmap.jaxpr.intervene import Apply
from allroads.pfmap.jaxpr.walk import interpret, shaped, trace

INPUTS = "inputs"
"""Stands for what the network reads, and for what only lookups and linear maps make of it."""

LINEAR = (
    "add", "add_any", "sub", "neg", "copy", "convert_element_type", "reshape", "transpose", "squeeze", "expand_dims",
    "broadcast_in_dim", "slice", "dynamic_slice", "concatenate", "pad", "rev", "gather", "reduce_sum", "cumsum",
    "stop_gradient",
)  # fmt: skip
"""Primitives that are affine in all that they read; what says where (tokens, places) counts as read."""

PRODUCTS = ("mul", "dot_general", "conv_general_dilated")
"""Primitives that are linear in one operand where the others hang on parameters alone."""


def affine_sources(apply: Apply, params: Any, inputs: Any) -> dict[str, frozenset[str]]:
    """For every intermediate, the layers that it is an affine function of.

    Sums, reshapings and products with parameters are affine. The output of any other equation is a layer of its own:
    what comes after it may be affine in it, and is not affine in what it read. The residual stream of a transformer is
    so an affine function of its tokens, of what each head reads, and of the hidden layer of each MLP.

    Args:
        apply: The function, such as ``network.apply``.
        params: A point, or its shapes.
        inputs: As the function takes them, or their shapes.

    Returns:
        Paths of layers for each path of an intermediate; :data:`INPUTS` stands for the inputs. Nothing for what hangs
        on parameters alone. Values inside loops are not listed.

    Example:
        >>> import jax.numpy as jnp
        >>> apply = lambda w, x: x + jnp.tanh(x @ w)
        >>> found = affine_sources(apply, jnp.eye(2), jnp.ones((3, 2)))
        >>> {path: sorted(layers) for path, layers in found.items()}
        {'0': ['inputs'], '1': ['1'], '2': ['1', 'inputs']}
    """
    traced = trace(apply, params, inputs)
    found: dict[str, frozenset[str]] = {}
    nothing: frozenset[str] = frozenset()

    def rule(number: int, equation: core.JaxprEqn, operands: list[frozenset[str]]) -> Sequence[frozenset[str]]:
        path, several = str(number), len(equation.outvars) > 1
        paths = [f"{path}:{at}" if several else path for at in range(len(equation.outvars))]
        joint = nothing.union(*operands)
        numbers = all("float" in str(shaped(var).dtype) for var in equation.outvars)
        affine = not joint or not numbers or _affine(equation.primitive.name, operands)
        made = [joint if affine else frozenset([name]) for name in paths]
        found.update(zip(paths, made, strict=True))
        return made

    weights = [nothing] * len(jax.tree.leaves(params))
    read = [frozenset([INPUTS])] * len(jax.tree.leaves(inputs))
    interpret(traced.jaxpr, [nothing] * len(traced.consts), [*weights, *read], rule, lambda value: nothing)
    return found


def _affine(name: str, operands: Sequence[frozenset[str]]) -> bool:
    """Whether an equation is affine in the operands that do not hang on parameters alone."""
    if name in LINEAR:
        return True
    if name in PRODUCTS:
        return sum(bool(operand) for operand in operands) == 1
    return name in ("div", "select_n") and not operands[1 if name == "div" else 0]
