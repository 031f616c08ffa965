"""The transformer of ``allroads.networks`` as a PyTorch module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from allroads.errors import InputError, UnknownNameError
from allroads.networks.torch.modules import embedding, linear, tensor


class Square(nn.Module):
    """The square of each number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x²``."""
        return x**2


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "square": Square,
    "identity": nn.Identity,
}
"""Modules of the activations that networks have by name."""


class Block(nn.Module):
    """Attention and an MLP on the residual stream.

    Args:
        block: The weights of one block of :func:`allroads.networks.transformer.transformer`.
        heads: Attention heads.
        attention_rate: Weight α of the softmax; 1 − α is that of the sum over all positions seen.
        causal: Whether a position sees itself and those before it alone.
        activation: The MLP's.
    """

    def __init__(self, block: Mapping[str, Any], heads: int, attention_rate: float, causal: bool, activation: str):
        super().__init__()
        self.heads, self.attention_rate, self.causal = heads, attention_rate, causal
        self.query, self.key, self.value, self.out = (
            linear(block[name], None) for name in ("query", "key", "value", "out")
        )
        self.norm, self.norm_mlp = _norm(block), _norm(block["up"])
        self.up = linear(block["up"]["weight"], block["up"].get("bias"))
        self.down = linear(block["down"]["weight"], block["down"].get("bias"))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The stream ``[N, T, d_model]`` after the block."""
        x = x + self.attend(self.norm(x))
        rows: torch.Tensor = x + self.down(self.activation(self.up(self.norm_mlp(x))))
        return rows

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        """What every position reads, ``[N, T, d_model]``."""
        examples, positions, width = x.shape
        query, key, value = (
            part(x).reshape(examples, positions, self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        seen = torch.ones(positions, positions, dtype=torch.bool, device=x.device)
        seen = seen.tril() if self.causal else seen
        scores = query @ key.transpose(2, 3) / math.sqrt(width // self.heads)
        softmax = scores.masked_fill(~seen, -math.inf).softmax(dim=-1)
        pattern = self.attention_rate * softmax + (1 - self.attention_rate) * seen.to(x.dtype)
        rows: torch.Tensor = self.out((pattern @ value).transpose(1, 2).reshape(examples, positions, width))
        return rows


class Transformer(nn.Module):
    """Blocks on a residual stream, as :func:`allroads.networks.transformer.transformer` has them.

    Tables of tokens are ``nn.Embedding``, one for each token of a position; maps are ``nn.Linear``.

    Args:
        params: Weights.
        vocabulary: Size of the alphabet of the tokens; ``None`` for numbers.
        per_position: One output a position; otherwise the output at the last one.
        heads: Attention heads.
        attention_rate: Weight α of the softmax.
        causal: Whether a position sees itself and those before it alone.
        activation: Of the MLPs.
    """

    def __init__(
        self, params: Mapping[str, Any], vocabulary: int | None, per_position: bool, heads: int,
        attention_rate: float, causal: bool, activation: str,
    ):  # fmt: skip
        super().__init__()
        self.per_position, self.vocabulary, table = per_position, vocabulary, tensor(params["embed"])
        tables = (
            [linear(table, None)]
            if vocabulary is None
            else [embedding(part) for part in torch.split(table, vocabulary)]
        )
        self.embed = nn.ModuleList(tables)
        self.position = nn.Parameter(tensor(params["position"]))
        self.blocks = nn.ModuleList(
            Block(block, heads, attention_rate, causal, activation) for block in params["blocks"]
        )
        self.norm = _norm(params["readout"])
        self.readout = linear(params["readout"]["weight"], params["readout"].get("bias"))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs ``[N, T, C]``, or ``[N, C]``, to tokens or numbers ``[N, T]`` or ``[N, T, streams]``."""
        given = inputs.unsqueeze(-1) if inputs.ndim == 2 else inputs
        if self.vocabulary is None:
            x = self.position + self.embed[0](given)
        else:
            x = self.position + sum(table(given[..., stream]) for stream, table in enumerate(self.embed))
        for block in self.blocks:
            x = block(x)
        read: torch.Tensor = self.readout(self.norm(x if self.per_position else x[:, -1]))
        return read


def torch_transformer(
    params: Mapping[str, Any],
    *,
    vocabulary: int | None = None,
    per_position: bool = False,
    heads: int = 4,
    attention_rate: float = 1.0,
    causal: bool = True,
    activation: str = "relu",
) -> nn.Module:
    """A point of a transformer of ``allroads`` as a PyTorch module with the same weights and outputs.

    Options that the weights do not show have the names and defaults of
    :func:`allroads.networks.transformer.transformer`. Depth, widths, positions and layer norm follow from the weights.

    Args:
        params: The weights: one point.
        vocabulary: Size of the alphabet; ``None`` for numbers.
        per_position: One output a position, ``[N, T, C]``; otherwise ``[N, C]``.
        heads: Attention heads.
        attention_rate: α in [0, 1].
        causal: A position sees itself and those before it.
        activation: Of the MLPs.

    Returns:
        The module, in evaluation mode and in the precision of the weights. It takes what the network takes, as a
        tensor. Outputs agree to rounding.

    Raises:
        InputError: If the weights are not those of a transformer, or an option does not fit them.
        UnknownNameError: If there is no such activation.

    When it fails: the module cannot tell that another number of heads, another α or another mask was meant; the
    outputs are then others. Give the options with which the network was made.

    References: [vaswani2017]

    Example:
        >>> import jax
        >>> from allroads.networks.transformer import transformer
        >>> params = transformer((3,), 5, vocabulary=6, d_model=8, d_mlp=4).init(jax.random.key(0))
        >>> torch_transformer(params, vocabulary=6)(torch.tensor([[1, 2, 5]])).shape
        torch.Size([1, 5])
    """
    parts = ("embed", "position", "blocks", "readout")
    if not isinstance(params, Mapping) or any(part not in params for part in parts):
        raise InputError(f"params: expected the weights of a transformer, with {', '.join(parts)}; got {params!r:.200}")
    if activation not in ACTIVATIONS:
        raise UnknownNameError("activation", activation, ACTIVATIONS)
    features, width = params["embed"].shape
    if vocabulary is not None and (vocabulary < 1 or features % vocabulary):
        raise InputError(f"vocabulary is {vocabulary}, which does not divide the {features} rows of the embedding.")
    if heads < 1 or width % heads:
        raise InputError(f"heads is {heads}, which does not divide d_model = {width}. Choose a divisor.")
    if not 0 <= attention_rate <= 1:
        raise InputError(f"attention_rate is {attention_rate!r}; expected a number from 0 (uniform) to 1 (softmax).")
    return Transformer(params, vocabulary, per_position, heads, attention_rate, causal, activation).eval()


def _norm(layer: Mapping[str, Any]) -> nn.Module:
    """Layer norm over the last axis where the layer has one."""
    if "norm" not in layer:
        return nn.Identity()
    gain, bias = tensor(layer["norm"]["gain"]), tensor(layer["norm"]["bias"])
    norm = nn.LayerNorm(len(gain), eps=1e-5, dtype=gain.dtype)
    with torch.no_grad():
        norm.weight.copy_(gain)
        norm.bias.copy_(bias)
    return norm
