"""A small transformer whose attention can be made uniform by degrees."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError
from allroads.networks.activations import resolve_activation
from allroads.networks.initialisation import Initialisation, affine
from allroads.networks.inputs import Reader, checked_inputs, checked_sizes, token_check
from allroads.pfmap.network import Network, Params


def transformer(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    layers: int = 1,
    d_model: int = 128,
    heads: int = 4,
    d_mlp: int = 512,
    attention_rate: float = 1.0,
    causal: bool = True,
    layer_norm: bool = False,
    activation: str = "relu",
    init: str = "lecun",
    scale: float = 1.0,
    bias: str = "zero",
    bias_scale: float = 1.0,
) -> Network:
    """Attention and MLP blocks on a residual stream, with learned positions.

    The attention pattern of each head is ``α · softmax(q kᵀ / √(d_model / heads)) + (1 − α)``, with α the
    attention rate: at 1 it is the usual one, at 0 every position (that may be seen) is added with weight one.

    Args:
        input_shape: ``(T,)`` or ``(T, streams)``: T positions, each one or several numbers or tokens. Several
            tokens of one position are embedded by a table each and summed.
        outputs: Outputs of one example, or of one position.
        vocabulary: Size of the alphabet of integer tokens; ``None`` for real inputs, embedded by a matrix.
        per_position: One output a position, ``[N, T, C]``; otherwise the output at the last position, ``[N,
            C]``.
        layers: Blocks.
        d_model: Width of the residual stream.
        heads: Attention heads; must divide ``d_model``.
        d_mlp: Width of the MLP in a block.
        attention_rate: α in [0, 1].
        causal: A position sees itself and those before it; the weight 1 − α too falls on those alone.
        layer_norm: Normalise (ε = 1e-5) before attention, the MLP and the readout; off by default.
        activation: Of the MLP, a name in ``ACTIVATIONS``.
        init: Rule of the weights' variance, see :class:`Initialisation`. Embeddings and positions are normal
            with variance ``scale² / d_model`` whatever the rule.
        scale: Multiplies every weight.
        bias: Rule of the biases, which the MLPs and the readout have; attention has none.
        bias_scale: Multiplies every bias.

    Returns:
        A network with parameters ``{"embed": [features, d_model], "position": [T, d_model], "blocks":
        [{"query", "key", "value", "out": [d_model, d_model], "up", "down": {"weight", "bias"}}, …],
        "readout"}``; heads lie side by side in the columns of query, key and value.

    Raises:
        InputError: If the inputs have no positions, a size is not a positive whole number, the heads do not
            divide the width, or α lies outside [0, 1].
        UnknownNameError: If a rule or the activation does not exist.

    References: [vaswani2017] [zhong2023] [nanda2023]

    Example:
        >>> network = transformer((3,), 59, vocabulary=60, attention_rate=0.0)
        >>> network.apply(network.init(jax.random.key(0)), [[1, 2, 59]]).shape
        (1, 59)
    """
    checked_sizes(input_shape=input_shape, outputs=outputs, layers=layers, d_model=d_model, heads=heads, d_mlp=d_mlp)
    if not input_shape:
        raise InputError("transformer reads positions; input_shape is (). Give it the shape (T,) or (T, streams).")
    if d_model % heads:
        raise InputError(f"heads is {heads}, which does not divide d_model = {d_model}. Choose a divisor.")
    if not 0 <= attention_rate <= 1:
        raise InputError(f"attention_rate is {attention_rate!r}; expected a number from 0 (uniform) to 1 (softmax).")
    act, draw = resolve_activation(activation), Initialisation(init, scale, bias, bias_scale)
    table = Initialisation("normal", scale / math.sqrt(d_model), "none", 1.0)
    positions, reader = input_shape[0], Reader(input_shape[1:], vocabulary)
    seen = jnp.tril if causal else jnp.asarray
    name = f"transformer {layers}x{d_model} alpha {attention_rate:g}"

    def init_params(key: Any) -> Params:
        embed_key, position_key, readout_key, *keys = jax.random.split(key, layers + 3)
        return {
            "embed": table.weight(embed_key, reader.features, d_model),
            "position": table.weight(position_key, positions, d_model),
            "blocks": [init_block(k) for k in keys],
            "readout": draw.dense(readout_key, d_model, outputs) | norm(),
        }

    def init_block(key: Any) -> Params:
        *keys, up_key, down_key = jax.random.split(key, 6)
        maps = zip(("query", "key", "value", "out"), keys, strict=True)
        return {
            **{part: draw.weight(k, d_model, d_model) for part, k in maps},
            "up": draw.dense(up_key, d_model, d_mlp) | norm(),
            "down": draw.dense(down_key, d_mlp, d_model),
            **norm(),
        }

    def norm() -> Params:
        return {"norm": {"gain": jnp.ones(d_model), "bias": jnp.zeros(d_model)}} if layer_norm else {}

    def attend(block: Params, x: Any, asking: int) -> Any:
        """What the last ``asking`` positions read."""
        x = _normalised(block, x)
        query, key, value = (
            jnp.matmul(part, block[which]).reshape(*part.shape[:2], heads, -1)
            for which, part in (("query", x[:, -asking:]), ("key", x), ("value", x))
        )
        scores = jnp.einsum("nqhd,nkhd->nhqk", query, key) / math.sqrt(d_model // heads)
        mask = seen(jnp.ones((positions, positions), bool))[-asking:]
        softmax = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
        pattern = attention_rate * softmax + (1 - attention_rate) * mask
        read = jnp.einsum("nhqk,nkhd->nqhd", pattern, value)
        return read.reshape(*read.shape[:2], d_model) @ block["out"]

    def apply(params: Params, inputs: Any) -> Any:
        inputs = checked_inputs(inputs, input_shape, vocabulary, name)
        x = reader.project(inputs, params["embed"]) + params["position"]
        for index, block in enumerate(params["blocks"]):
            # The last block is needed only where it is read.
            asking = positions if per_position or index < layers - 1 else 1
            x = x[:, -asking:] + attend(block, x, asking)
            x = x + affine(block["down"], act(affine(block["up"], _normalised(block["up"], x))))
        read = affine(params["readout"], _normalised(params["readout"], x))
        return read if per_position else read[:, -1]

    return Network(init_params, apply, name=name, check=token_check(vocabulary, name))


def _normalised(layer: Params, x: Any) -> Any:
    """Layer norm over the last axis, where the layer has one."""
    if "norm" not in layer:
        return x
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * layer["norm"]["gain"] + layer["norm"]["bias"]
