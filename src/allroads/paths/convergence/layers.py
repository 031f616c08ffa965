"""Representations of a network: what each weight reads, as matrices over inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from allroads.errors import InputError, UnknownNameError
from allroads.pfmap.arrays import as_point
from allroads.pfmap.inputs import read_inputs
from allroads.pfmap.jaxpr import evaluate, interpret, trace, traceable
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries.group import named_leaves

LAYERS = ("dot_general", "conv_general_dilated")
"""Primitives that are a layer where they join data and weights."""

OUTPUTS = "outputs"
"""The name of the network's own outputs among its layers."""

AT_ONCE = 256
"""Inputs that are evaluated together."""

MIXED = 1e-3
"""Outputs of an input alone and among others may differ by this share of the largest."""


@dataclass(frozen=True)
class _Origin:
    """Where an array of a network comes from.

    Args:
        data: Whether it depends on the inputs.
        weights: The numbers of the parameter arrays on which it depends.
        path: Its place, as :func:`allroads.pfmap.jaxpr.intermediates` names it; ``None`` for what is given.
    """

    data: bool = False
    weights: frozenset[int] = frozenset()
    path: str | None = None


def hidden_layers(network: Network, params: Params, inputs: Any) -> dict[str, str]:
    """The hidden layers of a network, in the order in which they are read, with the places of their arrays.

    A hidden layer is an array inside the network that a weight reads: an operand of a contraction or a convolution
    whose other operand depends on the parameters alone. So the layer of a multilayer perceptron is what comes out of
    the activation. It has the name of the parameter array that reads it, such as ``"layers/1/weight"``.

    Args:
        network: The network, of any architecture.
        params: A point, such as a state dict for a network of ``from_torch``.
        inputs: One input, with a leading axis of size 1; NumPy, JAX or PyTorch.

    Raises:
        InputError: If the network cannot be traced on the input, or the point or the input is none.

    Returns:
        ``{name: path}``. A name that stands for several arrays gets ``@path`` after it from the second on.

    When it fails: layers inside loops (the steps of a recurrent network, blocks that are stacked in a ``scan``) are not
    listed; what is read after the loop is.

    Example:
        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((3,), 2, widths=(8, 8))
        >>> list(hidden_layers(network, network.init(jax.random.key(0)), np.ones((1, 3))))
        ['layers/1/weight', 'layers/2/weight']
    """
    params, inputs = as_point(params, network=network), read_inputs(inputs)
    names = [name for name, _ in named_leaves(params)]
    found: dict[str, str] = {}

    def rule(number: int, equation: core.JaxprEqn, operands: Sequence[_Origin]) -> list[_Origin]:
        layer = _read_by_weights(equation, operands)
        if layer is not None and layer[0].path is not None:
            path, name = layer[0].path, names[min(layer[1].weights)]
            if path not in found.values():
                found[name if name not in found else f"{name}@{path}"] = path
        count = len(equation.outvars)
        weights = frozenset[int]().union(*(operand.weights for operand in operands))
        paths = [str(number)] if count == 1 else [f"{number}:{place}" for place in range(count)]
        return [_Origin(any(operand.data for operand in operands), weights, path) for path in paths]

    with traceable(network, "one input"):
        traced = trace(network.apply, params, inputs)
        args = [_Origin(weights=frozenset({number})) for number in range(len(names))]
        args += [_Origin(data=True)] * len(jax.tree.leaves(inputs))
        interpret(traced.jaxpr, [_Origin()] * len(traced.consts), args, rule, lambda value: _Origin())
    return found


def _read_by_weights(equation: core.JaxprEqn, operands: Sequence[_Origin]) -> tuple[_Origin, _Origin] | None:
    """A hidden array and the weights that read it; ``None`` where the equation is no layer or reads the inputs."""
    if equation.primitive.name not in LAYERS:
        return None
    for data, weights in (operands[:2], operands[1::-1]):
        if data.data and data.weights and weights.weights and not weights.data:
            return data, weights
    return None


def chosen_layers(network: Network, params: Params, inputs: Any, layers: Sequence[str] | str | None) -> dict[str, str]:
    """The places of layers chosen by name; by default of the last hidden one, or the outputs where there is none.

    Args:
        network: The network.
        params: A point.
        inputs: One input, with a leading axis of size 1.
        layers: Names of :func:`hidden_layers`, ``"outputs"``, or one such name.

    Returns:
        ``{name: path}``; the path of the outputs is ``"outputs"``.

    Raises:
        InputError: If the network cannot be traced, or no layer is chosen.
        UnknownNameError: If there is no such layer; names those that there are.
    """
    known = {**hidden_layers(network, params, inputs), OUTPUTS: OUTPUTS}
    if layers is None:
        hidden = list(known)[:-1]
        layers = hidden[-1:] or [OUTPUTS]
    asked = [layers] if isinstance(layers, str) else list(layers)
    if not asked:
        raise InputError(f"layers: got none; choose from {', '.join(known)}, or leave it out for the last hidden one.")
    for name in asked:
        if name not in known:
            raise UnknownNameError("layer", name, tuple(known))
    return {name: known[name] for name in asked}


@lru_cache(maxsize=64)
def reader(network: Network, paths: tuple[tuple[str, str], ...]) -> Callable[[Params, Any], tuple[Any, dict[str, Any]]]:
    """``read(params, inputs) -> (outputs [n, …], {layer: matrix [n, d]})``, compiled, every input by itself."""
    captured = sorted({path for _, path in paths if path != OUTPUTS})

    def alone(params: Params, one: Any) -> tuple[Any, dict[str, Any]]:
        batch = jax.tree.map(lambda x: x[None], one)
        outputs, seen = evaluate(network.apply, params, batch, capture=captured)
        arrays = {name: outputs if path == OUTPUTS else seen[path] for name, path in paths}
        return outputs[0], {name: array.ravel() for name, array in arrays.items()}

    return jax.jit(jax.vmap(alone, in_axes=(None, 0)))


def representations(
    network: Network, members: Params, inputs: Any, paths: Mapping[str, str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The outputs of members and their representations in some layers.

    Args:
        network: The network.
        members: Points along a leading axis.
        inputs: ``[n, …]``, as the network takes them.
        paths: Layers by name, see :func:`chosen_layers`.

    Returns:
        Outputs ``[M, n, …]`` and, for each layer, ``[M, n, d]`` in double precision. Positions of a sequence or an
        image stand side by side.

    Raises:
        InputError: If an input by itself gets other outputs than among the others: its layers are then not its own.
    """
    read, apply = reader(network, tuple(paths.items())), jax.jit(network.apply)
    data = jax.tree.map(jnp.asarray, inputs)
    n = len(jax.tree.leaves(data)[0])
    outputs: list[np.ndarray] = []
    matrices: dict[str, list[np.ndarray]] = {name: [] for name in paths}
    for member in range(len(jax.tree.leaves(members)[0])):
        params = jax.tree.map(lambda leaf, at=member: leaf[at], members)
        parts = [read(params, jax.tree.map(lambda x, at=at: x[at : at + AT_ONCE], data)) for at in range(0, n, AT_ONCE)]
        outputs.append(np.asarray(apply(params, data), np.float64))
        alone = np.concatenate([np.asarray(part[0], np.float64) for part in parts])
        _check_alone(network, alone, outputs[-1])
        for name, found in matrices.items():
            found.append(np.concatenate([np.asarray(part[1][name], np.float64) for part in parts]))
    return np.stack(outputs), {name: np.stack(found) for name, found in matrices.items()}


def _check_alone(network: Network, alone: np.ndarray, among: np.ndarray) -> None:
    finite = np.isfinite(among) & np.isfinite(alone)
    difference = np.abs(alone[finite] - among[finite]).max(initial=0)
    if difference > MIXED * max(np.abs(among[finite]).max(initial=0), 1e-30):
        raise InputError(
            f"network {network.name!r} gives an input other outputs by itself than among others (difference "
            f"{difference:.3g}), so that it has no representation of its own. Give a network that treats inputs one by "
            "one, such as batch normalisation with running statistics."
        )
