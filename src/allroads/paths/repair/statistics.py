"""Running statistics of batch norms among the parameters: found in the jaxpr, and measured again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from allroads.pfmap.jaxpr import bind, evaluate_annotated
from allroads.pfmap.network import Network, Params

SHAPES = ("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "expand_dims", "transpose", "copy")
ROOTS = ("rsqrt", "sqrt", "pow")


@dataclass(frozen=True, eq=False)
class _Role:
    """The role of an array in a batch norm.

    Args:
        kind: ``"data"``: depends on the inputs. ``"view"``: a leaf, reshaped. ``"variance"``: a leaf plus a constant.
            ``"deviation"``: the root of one, or its inverse, times other parameters. ``"centred"``: data minus a view.
        leaf: Number of the leaf.
        index: The element of the leaf at each place, for views.
        data: The data that were centred.
    """

    kind: str
    leaf: int = -1
    index: Any = None
    data: Any = None


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """One batch norm: the leaves that hold its mean and variance, and both as they are on the inputs."""

    mean_leaf: int
    variance_leaf: int
    mean: Any
    variance: Any


def batch_norms(network: Network, params: Params, inputs: Any) -> list[BatchNorm]:
    """The batch norms of a network: ``(x − leaf) / √(other leaf + constant)``, times other parameters or not.

    Mean and variance are those of x over all examples and positions that share an element of the leaf (divided by
    their number), with the layers before as they are.
    """
    found: list[BatchNorm] = []
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]

    def of_leaf(number: int) -> _Role:
        return _Role("view", number, jnp.arange(math.prod(shapes[number])).reshape(shapes[number]))

    def rule(
        _: int,
        equation: core.JaxprEqn,
        values: Sequence[Any],
        roles: Sequence[_Role | None],
        outputs: Sequence[Any],
    ) -> tuple[Sequence[Any], _Role | None]:
        role = _role(equation, values, roles)
        if role is None and equation.primitive.name in ("mul", "div"):
            swapped = equation.primitive.name == "mul" and _is(roles[1], "centred") is not None
            first, second = roles[::-1] if swapped else roles
            centred, deviation = _is(first, "centred"), _is(second, "deviation")
            if centred and deviation and shapes[centred.leaf] == shapes[deviation.leaf]:
                found.append(_statistics(centred, deviation, shapes[centred.leaf]))
        if role is None and any(_is(r, "data", "centred") for r in roles):
            role = _Role("data")
        return outputs, role

    evaluate_annotated(network, params, inputs, of_leaf, _Role("data"), rule)
    return found


def _is(role: _Role | None, *kinds: str) -> _Role | None:
    """The role where it is of one of these kinds, else ``None``."""
    return role if role is not None and role.kind in kinds else None


def _role(equation: core.JaxprEqn, values: Sequence[Any], roles: Sequence[_Role | None]) -> _Role | None:
    """The role of an equation's output where it is a step towards a batch norm."""
    name, first = equation.primitive.name, roles[0] if roles else None
    if name in SHAPES and first is not None and first.kind != "data":
        if first.kind != "view":
            return first
        (index,) = bind(equation, [first.index], _for_index(equation))
        return _Role("view", first.leaf, index)
    if name in ("add", "max") and {r and r.kind for r in roles} in ({"view", None}, {"variance", None}):
        return _Role("variance", next(r.leaf for r in roles if r is not None))
    if name in ROOTS and (variance := _is(first, "view", "variance")):
        return _Role("deviation", variance.leaf)
    if name in ("mul", "div") and not any(_is(r, "data", "centred") for r in roles):
        return next((r for r in roles if _is(r, "deviation")), None)
    if name in ("mul", "div") and not any(_is(r, "data", "deviation") for r in roles):
        return next((r for r in roles[: 2 if name == "mul" else 1] if _is(r, "centred")), None)
    if name == "sub" and _is(first, "data") and (view := _is(roles[1], "view")):
        return _Role("centred", view.leaf, view.index, values[0])
    return None


def _for_index(equation: core.JaxprEqn) -> dict[str, Any]:
    """The parameters of an operation, such that it keeps integers."""
    given = dict(equation.params)
    if equation.primitive.name == "convert_element_type":
        given["new_dtype"] = jnp.arange(0).dtype
    return given


def _statistics(centred: _Role, deviation: _Role, shape: tuple[int, ...]) -> BatchNorm:
    data = centred.data.ravel()
    index = jnp.broadcast_to(centred.index, centred.data.shape).ravel()
    size = math.prod(shape)

    def total(values: Any) -> Any:
        return jax.ops.segment_sum(values, index, size)

    count = total(jnp.ones_like(data))
    mean = total(data) / count
    variance = total((data - mean[index]) ** 2) / count
    return BatchNorm(centred.leaf, deviation.leaf, mean.reshape(shape), variance.reshape(shape))


def reset_statistics(network: Network, params: Params, inputs: Any, norms: int) -> Params:
    """The parameters with the statistics of all their batch norms measured on the inputs.

    There is one pass per norm: the statistics of a norm are right once those before it are.
    """
    leaves, tree = jax.tree.flatten(params)

    def once(_: int, leaves: list[Any]) -> list[Any]:
        leaves = list(leaves)
        for norm in batch_norms(network, jax.tree.unflatten(tree, leaves), inputs):
            leaves[norm.mean_leaf] = norm.mean.astype(leaves[norm.mean_leaf].dtype)
            leaves[norm.variance_leaf] = norm.variance.astype(leaves[norm.variance_leaf].dtype)
        return leaves

    return jax.tree.unflatten(tree, jax.lax.fori_loop(0, norms, once, [jnp.asarray(leaf) for leaf in leaves]))
