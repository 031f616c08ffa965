"""The embedding-sum network for modular and group tasks."""

from __future__ import annotations

from typing import Any

import jax

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
        width: Width N of the embeddings.
        activation: A name in ``ACTIVATIONS``; ``"relu"`` shows a delay between fitting and generalising,
            ``"square"`` nearly none.
        tied: One table for all tokens, which makes the network symmetric in them, rather than one each.
        init: ``"grokking"`` (default) draws every weight from N(0, (scale · 0.5 / (2N)^(1/3))²); or a rule of
            :class:`Initialisation`, with fan_in S·vocabulary for the embeddings.
        scale: Multiplies every weight.
        bias: Rule of the readout's biases; by default it has none.
        bias_scale: Multiplies every bias.

    Returns:
        A network with parameters ``{"embed": [S, V, N] ([1, V, N] if tied), "readout": {"weight": [N, C]}}``.

    Raises:
        InputError: If the inputs are not tokens in one row, or a size is not a positive whole number.
        UnknownNameError: If a rule or the activation does not exist.

    References: [gromov2023]

    Example:
        >>> network = embedding_sum((2,), 53, vocabulary=53)
        >>> params = network.init(jax.random.key(0))
        >>> network.apply(params, [[1, 2], [3, 4]]).shape
        (2, 53)
    """
    checked_sizes(input_shape=input_shape, outputs=outputs, width=width)
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
    name = f"embedding sum {width} {activation}"

    def init_params(key: Any) -> Params:
        embed_key, readout_key = jax.random.split(key)
        tables = draw.weight(embed_key, streams * vocabulary, width).reshape(streams, vocabulary, width)
        return {"embed": tables[:1] if tied else tables, "readout": draw.dense(readout_key, width, outputs)}

    def apply(params: Params, inputs: Any) -> Any:
        tokens = checked_inputs(inputs, input_shape, vocabulary, name)
        tables = params["embed"]
        summed = sum(tables[0 if tied else s][tokens[:, s]] for s in range(streams))
        return affine(params["readout"], act(summed))

    return Network(init_params, apply, name=name, check=token_check(vocabulary, name))
