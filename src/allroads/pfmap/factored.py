"""Weight matrices whose rows of the Jacobian are outer products.

Where a matrix W meets one example once, in a product with a vector x, the gradient of an output by W is ``x gᵀ``, with
g the gradient by the vector that the product gives. Its share of a kernel is then ``(x·x′)(g·g′)``: two short products
instead of one as long as W has entries. Which matrices are used so is read from the network's jaxpr.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from allroads.pfmap.jaxpr import evaluate_annotated, shaped
from allroads.pfmap.network import Network, Params

MIN_SAVING = 2
"""Entries of a matrix per entry of both vectors, above which the two products are cheaper."""

Product = Callable[[int, int, Any, Any], Any]
"""``product(number of the equation, leaf, vector, product) -> product`` that the network goes on with."""


class Use(NamedTuple):
    """The use of a matrix: index of the leaf, number of the equation."""

    leaf: int
    equation: int


def dense_uses(network: Network, params: Params, example: Any) -> tuple[Use, ...]:
    """The leaves that are used once and as one factor of a product with a vector, where factoring is worth it.

    Args:
        network: The network.
        params: A point, or its shapes.
        example: A batch of one example, or its shape.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    disqualified: set[int] = set()

    def count_use(equation: int, leaf: int, vector: Any, product: Any) -> Any:
        found.setdefault(leaf, []).append((equation, vector.size + product.size))
        return product

    leaves = jax.tree.leaves(params)
    jax.eval_shape(lambda p, x: _run(network, p, x, count_use, disqualified), params, example)
    return tuple(
        Use(leaf, uses[0][0])
        for leaf, uses in sorted(found.items())
        if len(uses) == 1 and leaf not in disqualified and leaves[leaf].size > MIN_SAVING * uses[0][1]
    )


def factored_row(network: Network, params: Params, example: Any, output: Any, uses: tuple[Use, ...]) -> list[Any]:
    """One row of J: x and g of every use, then the gradients of all other leaves."""
    leaves, _ = jax.tree.flatten(params)
    factored = {use.leaf for use in uses}
    others = [leaf for i, leaf in enumerate(leaves) if i not in factored]
    which = {use.equation: k for k, use in enumerate(uses)}

    def point(others: Sequence[Any]) -> Params:
        rest = iter(others)
        return jax.tree.unflatten(
            jax.tree.structure(params), [leaf if i in factored else next(rest) for i, leaf in enumerate(leaves)]
        )

    shapes: dict[int, Any] = {}

    def shape(equation: int, leaf: int, vector: Any, product: Any) -> Any:
        if equation in which:
            shapes[which[equation]] = product
        return product

    jax.eval_shape(lambda p: _run(network, p, example, shape, set()), params)

    def chosen(others: Sequence[Any], shifts: Sequence[Any]) -> tuple[Any, list[Any]]:
        vectors: dict[int, Any] = {}

        def shift(equation: int, leaf: int, vector: Any, product: Any) -> Any:
            if equation not in which:
                return product
            vectors[which[equation]] = vector.reshape(-1)
            return product + shifts[which[equation]]

        values = _run(network, point(others), example, shift, set())
        return values.reshape(-1)[output], [vectors[k] for k in range(len(uses))]

    shifts = [jnp.zeros(shapes[k].shape, shapes[k].dtype) for k in range(len(uses))]
    (rest, slopes), vectors = jax.grad(chosen, argnums=(0, 1), has_aux=True)(others, shifts)
    factors = [part for x, g in zip(vectors, slopes, strict=True) for part in (x, g.reshape(-1))]
    return factors + list(rest)


def _run(network: Network, params: Params, example: Any, product: Product, disqualified: set[int]) -> Any:
    """The outputs of a network, with every product of a leaf and a vector replaced.

    Leaves that are used otherwise, except transposed, are added to ``disqualified``.
    """

    def rule(
        number: int,
        equation: core.JaxprEqn,
        operands: Sequence[Any],
        leaves: Sequence[Any],
        outputs: Sequence[Any],
    ) -> tuple[Any, Any]:
        if equation.primitive.name == "transpose":
            return outputs, leaves[0]
        factor = _factor(equation, leaves)
        if factor is not None:
            return [product(number, leaves[factor], operands[1 - factor], outputs[0])], None
        disqualified.update(leaf for leaf in leaves if leaf is not None)
        return outputs, None

    outputs, leaves = evaluate_annotated(network, params, example, lambda leaf: leaf, None, rule, keep_derivatives=True)
    disqualified.update(leaf for leaf in leaves if leaf is not None)
    return outputs


def _factor(equation: core.JaxprEqn, leaves: Sequence[int | None]) -> int | None:
    """Which operand is a leaf that an equation multiplies by a vector; ``None`` where it does no such thing."""
    if equation.primitive.name != "dot_general" or [leaf is None for leaf in leaves].count(True) != 1:
        return None
    factor = 0 if leaves[0] is not None else 1
    contracted, batch = equation.params["dimension_numbers"]
    matrix, vector = shaped(equation.invars[factor]), shaped(equation.invars[1 - factor])
    one_side = matrix.ndim == 2 and len(contracted[factor]) == 1 and not batch[0]
    return factor if one_side and vector.size == matrix.shape[contracted[factor][0]] else None
