"""Running statistics of batch norms among the parameters: found in the jaxpr, and taken anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from allroads.pfmap.jaxpr import evaluate_annotated
from allroads.pfmap.network import Network, Params

SHAPES = ("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "expand_dims", "transpose", "copy")
ROOTS = ("rsqrt", "sqrt", "pow")


@dataclass(frozen=True, eq=False)
class _Note:
    """What an array is made of.

    Args:
        kind: ``"data"``: depends on the inputs. ``"view"``: a leaf, reshaped. ``"variance"``: a leaf plus a constant.
            ``"deviation"``: the root of one, or its inverse, times other parameters. ``"centred"``: data minus a view.
        leaf: Number of the leaf.
        index: Which element of the leaf stands where, for views.
        data: What was centred.
    """

    kind: str
    leaf: int = -1
    index: Any = None
    data: Any = None


@dataclass(frozen=True, eq=False)
class Normalised:
    """One batch norm: the leaves that hold its mean and variance, and new values for them, taken on the inputs."""

    mean_leaf: int
    variance_leaf: int
    mean: Any
    variance: Any


def normalisations(network: Network, params: Params, inputs: Any) -> list[Normalised]:
    """The batch norms of a network: ``(x − leaf) / √(other leaf + constant)``, times other parameters or not.

    Mean and variance are those of x over all examples and positions that share an element of the leaf (divided by
    their number), with the layers before as they are.
    """
    found: list[Normalised] = []
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]

    def of_leaf(number: int) -> _Note:
        return _Note("view", number, jnp.arange(math.prod(shapes[number])).reshape(shapes[number]))

    def rule(
        _: int, equation: core.JaxprEqn, values: Sequence[Any], notes: Sequence[Any], outputs: Sequence[Any]
    ) -> Any:
        note = _noted(equation, values, notes)
        if note is None and equation.primitive.name in ("mul", "div"):
            turned = equation.primitive.name == "mul" and _is(notes[1], "centred")
            first, second = notes[::-1] if turned else notes
            if _is(first, "centred") and _is(second, "deviation") and shapes[first.leaf] == shapes[second.leaf]:
                found.append(_taken(first, second, shapes[first.leaf]))
        if note is None and any(_is(n, "data", "centred") for n in notes):
            note = _Note("data")
        return outputs, note

    evaluate_annotated(network, params, inputs, of_leaf, _Note("data"), rule)
    return found


def _is(note: _Note | None, *kinds: str) -> bool:
    return note is not None and note.kind in kinds


def _noted(equation: core.JaxprEqn, values: Sequence[Any], notes: Sequence[_Note | None]) -> _Note | None:
    """The note of an equation's output where it is a step towards a batch norm."""
    name, first = equation.primitive.name, notes[0] if notes else None
    if name in SHAPES and first is not None and first.kind != "data":
        if first.kind != "view":
            return first
        index = equation.primitive.bind(first.index, **_for_index(equation))
        return _Note("view", first.leaf, index)
    if name in ("add", "max") and {n and n.kind for n in notes} in ({"view", None}, {"variance", None}):
        return _Note("variance", next(n.leaf for n in notes if n is not None))
    if name in ROOTS and _is(first, "view", "variance"):
        return _Note("deviation", first.leaf)
    if name in ("mul", "div") and not any(_is(n, "data", "centred") for n in notes):
        return next((n for n in notes if _is(n, "deviation")), None)
    if name in ("mul", "div") and not any(_is(n, "data", "deviation") for n in notes):
        return next((n for n in notes[: 2 if name == "mul" else 1] if _is(n, "centred")), None)
    if name == "sub" and _is(first, "data") and _is(notes[1], "view"):
        return _Note("centred", notes[1].leaf, notes[1].index, values[0])
    return None


def _for_index(equation: core.JaxprEqn) -> dict[str, Any]:
    """An operation's parameters, such that it leaves whole numbers whole."""
    given = dict(equation.params)
    if equation.primitive.name == "convert_element_type":
        given["new_dtype"] = jnp.arange(0).dtype
    return given


def _taken(centred: _Note, deviation: _Note, shape: tuple[int, ...]) -> Normalised:
    data = centred.data.ravel()
    index = jnp.broadcast_to(centred.index, centred.data.shape).ravel()
    size = math.prod(shape)

    def total(values: Any) -> Any:
        return jax.ops.segment_sum(values, index, size)

    count = total(jnp.ones_like(data))
    mean = total(data) / count
    variance = total((data - mean[index]) ** 2) / count
    return Normalised(centred.leaf, deviation.leaf, mean.reshape(shape), variance.reshape(shape))


def reset(network: Network, params: Params, inputs: Any, norms: int) -> Params:
    """The parameters with the statistics of all their batch norms taken on the inputs.

    One pass for each norm: the statistics of a norm are right once those before it are.
    """
    leaves, tree = jax.tree.flatten(params)

    def once(_: int, leaves: list[Any]) -> list[Any]:
        leaves = list(leaves)
        for norm in normalisations(network, jax.tree.unflatten(tree, leaves), inputs):
            leaves[norm.mean_leaf] = norm.mean.astype(leaves[norm.mean_leaf].dtype)
            leaves[norm.variance_leaf] = norm.variance.astype(leaves[norm.variance_leaf].dtype)
        return leaves

    return jax.tree.unflatten(tree, jax.lax.fori_loop(0, norms, once, [jnp.asarray(leaf) for leaf in leaves]))
