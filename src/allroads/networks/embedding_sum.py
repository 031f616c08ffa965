"""The embedding-sum network for modular and group tasks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError
from allroads.networks.activations import resolve_activation
from allroads.networks.initialisation import Initialisation, affine
from allroads.networks.inputs import checked_inputs, checked_sizes, token_check
from allroads.pfmap.network import Network, Params


def embedding_sum(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    width: int = 256,
    embedding: int | None = None,
    activation: str = "relu",
    tied: bool = False,
    init: str = "grokking",
    scale: float = 1.0,
    bias: str = "none",
    bias_scale: float = 1.0,
) -> Network:
    """``φ(E₁[a] + E₂[b] + …) W``: one embedding a token, summed, an activation, a linear readout.

    Args:
        input_shape: ``(S,)``: S tokens an example.
        outputs: Outputs of one example.
        vocabulary: Size of the alphabet; required.
        per_position: Not possible here: the sum has no positions.
        width: Width N of the hidden layer.
        embedding: Width D of one embedding E that all tokens share. Each table is then a product, E₁ = E M₁,
            E₂ = E M₂, …. ``None`` (default) makes every entry of a table a weight. Under weight decay a ReLU network
            with E ends at sums modulo p with few frequencies, and one without it with nearly all.
        activation: A name in ``ACTIVATIONS``; ``"relu"`` shows a delay between fitting and generalising,
            ``"square"`` nearly none.
        tied: One table for all tokens, which makes the network symmetric in them, rather than one each.
        init: ``"grokking"`` (default) draws every weight from N(0, (scale · 0.5 / (2N)^(1/3))²); or a rule of
            :class:`Initialisation`, with fan_in S·vocabulary for the tables, vocabulary for E and D for each M.
        scale: Multiplies every weight.
        bias: Rule of the readout's biases; by default it has none.
        bias_scale: Multiplies every bias.

    Returns:
        A network with parameters ``{"embed": [S, V, N] ([1, V, N] if tied), "readout": {"weight": [N, C]}}``. With
        ``embedding`` they are ``{"embed": [V, D], "mix": [S, D, N] ([1, D, N] if tied), "readout": …}``.

    Raises:
        InputError: If the inputs are not tokens in one row, or a size is not a positive whole number.
        UnknownNameError: If a rule or the activation does not exist.

    References: [gromov2023] [chughtai2023]

    Example:
        >>> network = embedding_sum((2,), 53, vocabulary=53)
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, [[1, 2], [3, 4]]).shape
        (2, 53)
    """
    checked_sizes(input_shape=input_shape, outputs=outputs, width=width)
    if embedding is not None:
        checked_sizes(embedding=embedding)
    if vocabulary is None or len(input_shape) != 1 or per_position:
        raise InputError(
            f"embedding_sum reads S tokens and gives one answer; got input_shape={input_shape}, "
            f"vocabulary={vocabulary}, per_position={per_position}. Use 'mlp' for real inputs and "
            "'transformer' or 'recurrent' for positions."
        )
    act, (streams,) = resolve_activation(activation), input_shape
    if init == "grokking":
        draw = Initialisation("normal", scale * 0.5 / (2 * width) ** (1 / 3), bias, bias_scale)
    else:
        draw = Initialisation(init, scale, bias, bias_scale)
    name = f"embedding sum {width if embedding is None else f'{embedding}-{width}'} {activation}"

    def init_params(key: Any) -> Params:
        if embedding is not None:
            embed_key, mix_key, readout_key = jax.random.split(key, 3)
            mixes = [draw.weight(k, embedding, width) for k in jax.random.split(mix_key, 1 if tied else streams)]
            table = draw.weight(embed_key, vocabulary, embedding)
            return {"embed": table, "mix": jnp.stack(mixes), "readout": draw.dense(readout_key, width, outputs)}
        embed_key, readout_key = jax.random.split(key)
        tables = draw.weight(embed_key, streams * vocabulary, width).reshape(streams, vocabulary, width)
        return {"embed": tables[:1] if tied else tables, "readout": draw.dense(readout_key, width, outputs)}

    def apply(params: Params, inputs: Any) -> Any:
        tokens = checked_inputs(inputs, input_shape, vocabulary, name)
        tables = params["embed"] if embedding is None else params["embed"] @ params["mix"]
        summed = sum(tables[0 if tied else s][tokens[:, s]] for s in range(streams))
        return affine(params["readout"], act(summed))

    return Network(init_params, apply, name=name, check=token_check(vocabulary, name))
