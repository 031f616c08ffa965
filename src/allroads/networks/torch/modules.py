"""Networks of ``allroads.networks`` as PyTorch modules: layers, an Elman network, and an embedding sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import torch
from torch import nn

NONLINEAR = {"relu": nn.ReLU, "tanh": nn.Tanh, "identity": nn.Identity}


class Elman(nn.Module):
    """``h ← φ(W x + b + U h)`` from ``h = 0``, and ``V h + c`` at every position.

    Args:
        layer: ``input``, ``hidden`` and ``bias`` as arrays; a product has the inputs on the left.
        readout: ``weight`` and ``bias``.
        activation: ``"tanh"``, ``"relu"`` or ``"identity"``.
        vocabulary: Tokens are read one-hot, side by side; ``None`` for numbers.
    """

    def __init__(self, layer: Mapping[str, Any], readout: Mapping[str, Any], activation: str, vocabulary: int | None):
        super().__init__()
        self.vocabulary = vocabulary
        features, width = layer["input"].shape
        self.read = linear(layer["input"], layer["bias"])
        self.recur = linear(layer["hidden"], None)
        self.activation = NONLINEAR[activation]()
        self.readout = linear(readout["weight"], readout["bias"])
        self.features, self.width = features, width

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs ``[N, T, C]`` to tokens ``[N, T]`` or ``[N, T, D]``, or to numbers ``[N, T, D]``."""
        given = inputs
        if self.vocabulary is not None:
            given = nn.functional.one_hot(given, self.vocabulary).to(self.read.weight.dtype)
        driven = self.read(given.reshape(inputs.shape[0], inputs.shape[1], self.features))
        hidden = driven.new_zeros(inputs.shape[0], self.width)
        outputs = []
        for position in range(inputs.shape[1]):
            hidden = self.activation(driven[:, position] + self.recur(hidden))
            outputs.append(self.readout(hidden))
        return torch.stack(outputs, dim=1)


class EmbeddingSum(nn.Module):
    """``φ(E₁[a] + E₂[b] + …) W`` with φ the square.

    Args:
        tables: Embeddings ``[S, V, N]``.
        readout: ``weight``.
    """

    def __init__(self, tables: Any, readout: Mapping[str, Any]):
        super().__init__()
        self.embed = nn.ModuleList(embedding(table) for table in tables)
        self.readout = linear(readout["weight"], readout.get("bias"))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores ``[N, C]`` of tokens ``[N, S]``."""
        summed = sum(table(tokens[:, stream]) for stream, table in enumerate(self.embed))
        scores: torch.Tensor = self.readout(summed**2)
        return scores


def module_of(params: Mapping[str, Any], activation: str, vocabulary: int | None) -> nn.Module:
    """The module with given weights; which one it is follows from their names.

    Args:
        params: Weights of an ``mlp``, a ``recurrent`` network of one Elman layer, or an ``embedding_sum``.
        activation: φ of the first two.
        vocabulary: Size of the alphabet of a recurrent network's tokens.
    """
    if "embed" in params:
        return EmbeddingSum(params["embed"], params["readout"])
    if "readout" in params:
        return Elman(params["layers"][0], params["readout"], activation, vocabulary)
    parts: list[nn.Module] = []
    for layer in params["layers"]:
        parts += [linear(layer["weight"], layer["bias"]), NONLINEAR[activation]()]
    return nn.Sequential(*parts[:-1])


def linear(weight: Any, bias: Any) -> nn.Linear:
    """A linear layer with given weights ``[in, out]`` and biases ``[out]``."""
    array = tensor(weight)
    layer = nn.Linear(array.shape[0], array.shape[1], bias=bias is not None, dtype=array.dtype)
    with torch.no_grad():
        layer.weight.copy_(array.T)
        if bias is not None:
            layer.bias.copy_(tensor(bias))
    return layer


def embedding(table: Any) -> nn.Embedding:
    """A table ``[V, N]`` of embeddings with given weights."""
    array = tensor(table)
    return nn.Embedding(array.shape[0], array.shape[1], _weight=array)


def tensor(array: Any) -> torch.Tensor:
    """An array as a tensor of its own memory, in its precision."""
    return torch.tensor(np.asarray(jax.device_get(array)))
