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

from allroads.pfmap.network import Network, Params

CALLS = ("jit", "pjit", "closed_call", "core_call")
"""Calls that are gone into. Those with a derivative of their own are not: it would be lost."""
WORTH = 2
"""Times as many entries as both vectors together, from which on the two products are cheaper."""

Product = Callable[[int, int, Any, Any], Any]
"""``(number of the equation, leaf, the vector, what the product gives) -> `` what to go on with."""


class Use(NamedTuple):
    """Where a matrix is used: index of the leaf, number of the equation."""

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
    spoilt: set[int] = set()

    def note(equation: int, leaf: int, vector: Any, product: Any) -> Any:
        found.setdefault(leaf, []).append((equation, vector.size + product.size))
        return product

    leaves = jax.tree.leaves(params)
    jax.eval_shape(lambda p, x: _replay(network, p, x, note, spoilt), params, example)
    return tuple(
        Use(leaf, uses[0][0])
        for leaf, uses in sorted(found.items())
        if len(uses) == 1 and leaf not in spoilt and leaves[leaf].size > WORTH * uses[0][1]
    )


def factored_row(network: Network, params: Params, example: Any, output: Any, uses: tuple[Use, ...]) -> list[Any]:
    """One row of J: x and g of every use, then the gradients of all other leaves."""
    leaves, structure = jax.tree.flatten(params)
    factored = {use.leaf for use in uses}
    others = [leaf for i, leaf in enumerate(leaves) if i not in factored]
    which = {use.equation: k for k, use in enumerate(uses)}

    def point(others: Sequence[Any]) -> Params:
        rest = iter(others)
        return structure.unflatten([leaf if i in factored else next(rest) for i, leaf in enumerate(leaves)])

    shapes: dict[int, Any] = {}

    def shape(equation: int, leaf: int, vector: Any, product: Any) -> Any:
        if equation in which:
            shapes[which[equation]] = product
        return product

    jax.eval_shape(lambda p: _replay(network, p, example, shape, set()), params)

    def chosen(others: Sequence[Any], shifts: Sequence[Any]) -> tuple[Any, list[Any]]:
        vectors: dict[int, Any] = {}

        def shift(equation: int, leaf: int, vector: Any, product: Any) -> Any:
            if equation not in which:
                return product
            vectors[which[equation]] = vector.reshape(-1)
            return product + shifts[which[equation]]

        values = _replay(network, point(others), example, shift, set())
        return values.reshape(-1)[output], [vectors[k] for k in range(len(uses))]

    shifts = [jnp.zeros(shapes[k].shape, shapes[k].dtype) for k in range(len(uses))]
    (rest, slopes), vectors = jax.grad(chosen, argnums=(0, 1), has_aux=True)(others, shifts)
    factors = [part for x, g in zip(vectors, slopes, strict=True) for part in (x, g.reshape(-1))]
    return factors + list(rest)


def _replay(network: Network, params: Params, example: Any, product: Product, spoilt: set[int]) -> Any:
    """The network run equation by equation; every product of a leaf with a vector goes through ``product``."""
    closed, shape = jax.make_jaxpr(network.apply, return_shape=True)(params, example)
    leaves = jax.tree.leaves(params)
    arguments = [*leaves, *jax.tree.leaves(example)]
    marks = [*range(len(leaves)), *[None] * (len(arguments) - len(leaves))]
    outputs, seen, _ = _run(closed.jaxpr, closed.consts, arguments, marks, 0, product, spoilt)
    spoilt.update(mark for mark in seen if mark is not None)
    return jax.tree.unflatten(jax.tree.structure(shape), outputs)


def _run(
    jaxpr: Any, consts: Sequence[Any], values: Sequence[Any], marks: Sequence[int | None], count: int,
    product: Product, spoilt: set[int],
) -> tuple[list[Any], list[int | None], int]:  # fmt: skip
    """Outputs, the leaf that each is (transposed or not), and how many equations have been run."""
    places = [*jaxpr.constvars, *jaxpr.invars]
    known = dict(zip(places, [*consts, *values], strict=True))
    leaf_of = dict(zip(places, [*[None] * len(consts), *marks], strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, core.Literal) else known[var]

    def mark(var: Any) -> int | None:
        return None if isinstance(var, core.Literal) else leaf_of.get(var)

    for equation in jaxpr.eqns:
        operands, leaves = [read(var) for var in equation.invars], [mark(var) for var in equation.invars]
        given: list[int | None] = [None] * len(equation.outvars)
        if equation.primitive.name in CALLS:
            inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
            body, constants = (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, [])
            outputs, given, count = _run(body, constants, operands, leaves, count, product, spoilt)
        else:
            count += 1
            outputs = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
            outputs = list(outputs) if equation.primitive.multiple_results else [outputs]
            factor = _factor(equation, leaves)
            if equation.primitive.name == "transpose":
                given = leaves
            elif factor is not None:
                outputs = [product(count, leaves[factor], operands[1 - factor], outputs[0])]
            else:
                spoilt.update(leaf for leaf in leaves if leaf is not None)
        known.update(zip(equation.outvars, outputs, strict=True))
        leaf_of.update(zip(equation.outvars, given, strict=True))
    return [read(var) for var in jaxpr.outvars], [mark(var) for var in jaxpr.outvars], count


def _factor(equation: Any, leaves: Sequence[int | None]) -> int | None:
    """Which operand is a leaf that an equation multiplies by a vector; ``None`` where it does no such thing."""
    if equation.primitive.name != "dot_general" or [leaf is None for leaf in leaves].count(True) != 1:
        return None
    factor = 0 if leaves[0] is not None else 1
    contracted, batch = equation.params["dimension_numbers"]
    matrix, vector = equation.invars[factor].aval, equation.invars[1 - factor].aval
    one_side = matrix.ndim == 2 and len(contracted[factor]) == 1 and not batch[0]
    return factor if one_side and vector.size == matrix.shape[contracted[factor][0]] else None
