"""Filters of a network, read off its trace, and random directions with the norm of each filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

from allroads.networks.correlation import channels_as_units
from allroads.pfmap.jaxpr.walk import interpret, shaped, trace
from allroads.pfmap.network import Network, Params

SCALES = ("convert_element_type", "div", "mul", "neg", "reduce_precision", "stop_gradient")
"""Primitives that change every entry by itself."""


class Traced(NamedTuple):
    """What is known of an array inside the network.

    Attributes:
        data: Whether it depends on the inputs.
        leaf: The leaf of the parameters whose entries it holds; ``None`` where it is no such array.
        entries: For each element, the number of the entry of that leaf.
    """

    data: bool
    leaf: int | None = None
    entries: Any = None


def filters(network: Network, params: Params, inputs: Any) -> list[np.ndarray | None]:
    """The filters of every leaf of the parameters: the weights that feed one unit or one channel.

    They are read off the trace of the network: where weights are contracted or convolved with what depends on the
    inputs, the free axes of the weights are units. So they do not depend on whether weights are stored as
    ``[in, out]``, ``[out, in]`` or ``[heads, in, out]``.

    Args:
        network: The network.
        params: A point of it.
        inputs: Examples as the network takes them; only their shapes count.

    Returns:
        For each leaf an array of its shape with the number of each entry's filter, from 0 on. ``None`` where the trace
        shows no filters: a bias, a table that is looked up, weights that are changed before they are used, weights
        that two layers share in different ways, weights that a loop runs over.

    Example:
        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((3,), 2, widths=())
        >>> bias, weight = filters(network, network.init(jax.random.key(0)), np.ones((4, 3)))
        >>> bias is None, weight.tolist()
        (True, [[0, 1], [0, 1], [0, 1]])
    """
    leaves = jax.tree.leaves(params)
    units = [_Units(np.size(leaf)) for leaf in leaves]

    def rule(_: int, equation: core.JaxprEqn, operands: Sequence[Traced]) -> list[Traced]:
        name = equation.primitive.name
        data = any(operand.data for operand in operands)
        held = [(k, operand.leaf) for k, operand in enumerate(operands) if operand.leaf is not None]
        if name == "scan":
            _walk_loop(equation, operands, rule)
        elif len(held) == 1:
            (place, leaf), entries = held[0], operands[held[0][0]].entries
            if data and (axes := _free_axes(equation, place)) is not None:
                sizes = [size if d in axes else 1 for d, size in enumerate(entries.shape)]
                numbers = np.arange(int(np.prod(sizes))).reshape(sizes)
                units[leaf].see(entries, np.broadcast_to(numbers, entries.shape))
            elif not data and (moved := _moved(equation, entries)) is not None:
                return [Traced(False, leaf, moved)]
        return [Traced(data)] * len(equation.outvars)

    with channels_as_units():
        traced = trace(network.apply, params, inputs)
    arguments = [
        Traced(False, number, np.arange(np.size(leaf)).reshape(np.shape(leaf))) for number, leaf in enumerate(leaves)
    ]
    arguments += [Traced(True)] * len(jax.tree.leaves(inputs))
    interpret(traced.jaxpr, [Traced(False)] * len(traced.consts), arguments, rule, lambda value: Traced(False))
    return [unit.numbers(np.shape(leaf)) for unit, leaf in zip(units, leaves, strict=True)]


class _Units:
    """The units that the entries of one leaf feed, as far as they were seen."""

    def __init__(self, size: int):
        self.of, self.count, self.agree = np.full(size, -1), 0, True

    def see(self, entries: np.ndarray, numbers: np.ndarray) -> None:
        """Note units of some entries; what was known of the same entries must be the same partition."""
        entries, numbers = entries.ravel(), numbers.ravel()
        before = self.of[entries]
        if (before < 0).all():
            self.of[entries] = numbers + self.count
            self.count += int(numbers.max(initial=-1)) + 1
        else:
            pairs, old, new = (
                len(np.unique(part, axis=0)) for part in (np.stack([before, numbers], 1), before, numbers)
            )
            self.agree &= pairs == old == new and bool((before >= 0).all())

    def numbers(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The filter of each entry; ``None`` where an entry has none, or two uses of the leaf disagree."""
        if not self.agree or (self.of < 0).any():
            return None
        found: np.ndarray = np.unique(self.of, return_inverse=True)[1].reshape(shape)
        return found


def normalised_direction(
    params: Params, found: Sequence[np.ndarray | None], rng: np.random.Generator, vectors: str = "fixed"
) -> Params:
    """A Gaussian direction in which every filter has the norm that it has at the point.

    Args:
        params: The point.
        found: Its filters, as :func:`filters` gives them. A leaf of two axes or more without filters is one filter.
        rng: Draws the direction, leaf after leaf in double precision.
        vectors: Leaves of fewer than two axes, such as biases: ``"fixed"``: 0; ``"own"``: the parameters themselves.

    Returns:
        A pytree like the point, in NumPy's double precision.

    References: [li2018]

    Example:
        >>> point = {"bias": np.ones(2), "weight": np.array([[3.0, 0.0], [4.0, 2.0]])}
        >>> columns = np.array([[0, 1], [0, 1]])
        >>> drawn = normalised_direction(point, [None, columns], np.random.default_rng(0))
        >>> drawn["bias"].tolist(), np.linalg.norm(drawn["weight"], axis=0).round(9).tolist()
        ([0.0, 0.0], [5.0, 2.0])
    """
    leaves, structure = jax.tree.flatten(params)
    parts = []
    for leaf, numbers in zip(leaves, found, strict=True):
        values = np.asarray(leaf, np.float64)
        drawn = rng.standard_normal(values.shape)
        if values.ndim < 2:
            parts.append(values if vectors == "own" else np.zeros_like(values))
            continue
        of = np.zeros(values.shape, int) if numbers is None else numbers
        norms = [np.sqrt(np.bincount(of.ravel(), (array**2).ravel())) for array in (values, drawn)]
        parts.append(drawn * (norms[0] / norms[1])[of])
    return jax.tree.unflatten(structure, parts)


def _walk_loop(equation: core.JaxprEqn, operands: Sequence[Traced], rule: Any) -> None:
    """Look at the layers inside a loop: its constants are what they are outside, all else counts as data."""
    body = equation.params["jaxpr"]
    constants = equation.params["num_consts"]
    arguments = [*operands[:constants], *[Traced(True)] * (len(operands) - constants)]
    interpret(body.jaxpr, [Traced(False)] * len(body.consts), arguments, rule, lambda value: Traced(False))


def _moved(equation: core.JaxprEqn, entries: np.ndarray) -> np.ndarray | None:
    """The entries in the places to which an equation brings them; ``None`` where it does something else to them."""
    name, given, shape = equation.primitive.name, equation.params, shaped(equation.outvars[0]).shape
    if name == "squeeze" or (name == "reshape" and given["dimensions"] is None):
        return entries.reshape(shape)
    if name == "transpose":
        return entries.transpose(given["permutation"])
    if name == "slice":
        strides = given["strides"] or (1,) * entries.ndim
        bounds = zip(given["start_indices"], given["limit_indices"], strides, strict=True)
        return entries[tuple(slice(*bound) for bound in bounds)]
    if name == "rev":
        return np.flip(entries, given["dimensions"])
    if name == "broadcast_in_dim":
        sizes = np.ones(len(shape), int)
        sizes[list(given["broadcast_dimensions"])] = entries.shape
        return np.broadcast_to(entries.reshape(sizes), shape)
    return entries if name in SCALES and entries.shape == shape else None


def _free_axes(equation: core.JaxprEqn, weights: int) -> set[int] | None:
    """Axes of the weights that run over units; ``None`` where the equation is no layer."""
    numbers: Any = equation.params.get("dimension_numbers")
    if equation.primitive.name == "conv_general_dilated":
        return {numbers.rhs_spec[0]} if weights == 1 else None
    if equation.primitive.name != "dot_general":
        return None
    contracted, _ = numbers
    return set(range(shaped(equation.invars[weights]).ndim)) - set(contracted[weights])
