"""The multilayer perceptron."""

from __future__ import annotations

import itertools
from typing import Any

import jax

from allroads.errors import InputError
from allroads.networks.activations import resolve_activation
from allroads.networks.initialisation import Initialisation, affine, affine_columns, shifted, shifted_columns
from allroads.networks.inputs import Reader, checked_inputs, checked_sizes, token_check
from allroads.pfmap.network import Network, Params

COLUMNS = 32
"""Examples from which on each is a column and not a row: the products are then long along the vector unit.

A step of Adam on packs of 16 networks 7-40-40-1, one thread, µs a member by rows and by columns: 4.3 and 4.8 for 16
examples, 6.3 and 6.1 for 32, 9.5 and 7.8 for 64, 16.1 and 12.5 for 128.
"""


def mlp(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    widths: tuple[int, ...] = (64, 64),
    activation: str = "relu",
    init: str = "he",
    scale: float = 1.0,
    bias: str = "zero",
    bias_scale: float = 1.0,
) -> Network:
    """Affine layers with an activation between them.

    Real inputs are flattened; tokens are read one-hot, side by side. With ``per_position`` the outputs of all
    positions come from one last layer that sees the whole input.

    Args:
        input_shape: Shape of one example.
        outputs: Outputs of one example, or of one position.
        vocabulary: Size of the alphabet of integer tokens; ``None`` for real inputs.
        per_position: One output a position, ``[N, T, C]`` with ``T = input_shape[0]``.
        widths: Widths of the hidden layers; empty for none.
        activation: A name in ``ACTIVATIONS``.
        init: Rule of the weights' variance, see :class:`Initialisation`. Default ``"he"``, made for relu.
        scale: Multiplies every weight.
        bias: Rule of the biases.
        bias_scale: Multiplies every bias.

    Returns:
        A network with parameters ``{"layers": [{"weight": [in, out], "bias": [out]}, …]}``.

    Raises:
        InputError: If a size is not a positive whole number, or ``per_position`` is asked of
            inputs without positions.
        UnknownNameError: If a rule or the activation does not exist.

    Example:
        >>> network = mlp((7,), 1, widths=(40, 40))
        >>> sum(leaf.size for leaf in jax.tree.leaves(network.init(jax.random.key(0))))
        2001
    """
    sizes = "-".join(map(str, (*widths, outputs)))
    return layered(
        f"mlp {sizes} {activation}",
        input_shape,
        outputs,
        vocabulary,
        per_position,
        widths,
        resolve_activation(activation),
        Initialisation(init, scale, bias, bias_scale),
    )


def layered(
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    vocabulary: int | None,
    per_position: bool,
    widths: tuple[int, ...],
    activation: Any,
    draw: Initialisation,
) -> Network:
    """Layers one after another, with or without biases and an activation."""
    checked_sizes(input_shape=input_shape, outputs=outputs, widths=widths)
    if per_position and not input_shape:
        raise InputError("per_position needs inputs with positions; input_shape is (). Give it the shape (T, ...).")
    reader = Reader(input_shape, vocabulary)
    shape = (input_shape[0], outputs) if per_position else (outputs,)
    columns = shape[0] * outputs if per_position else outputs
    sizes = (reader.features, *widths, columns)

    def init_params(key: Any) -> Params:
        keys = jax.random.split(key, len(sizes) - 1)
        return {"layers": [draw.dense(k, *pair) for k, pair in zip(keys, itertools.pairwise(sizes), strict=True)]}

    def apply(params: Params, inputs: Any) -> Any:
        inputs = checked_inputs(inputs, input_shape, vocabulary, name)
        first, *rest = params["layers"]
        if inputs.shape[0] < COLUMNS:
            x = shifted(first, reader.project(inputs, first["weight"]))
            for layer in rest:
                x = affine(layer, activation(x))
            return x.reshape(-1, *shape)
        x = shifted_columns(first, reader.project_columns(inputs, first["weight"]))
        for layer in rest:
            x = affine_columns(layer, activation(x))
        return x.T.reshape(-1, *shape)

    return Network(init_params, apply, name=name, check=token_check(vocabulary, name))
