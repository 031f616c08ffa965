"""What each ATen operator means in ``jax.numpy``, by family.

A rule has the parameters of the operator's ATen schema, in that order and with those names. Device, layout and memory
format never reach it, and precisions reach it as JAX ones. In-place operators use the rule of their plain form.
"""

from __future__ import annotations

from allroads.networks.torch.rules import (
    activations,
    attention,
    convolutions,
    creation,
    fourier,
    indexing,
    linalg,
    linear,
    normalisation,
    pointwise,
    pooling,
    recurrent,
    reductions,
    refusals,
    resampling,
    shapes,
)
from allroads.networks.torch.rules.registry import RULES

__all__ = [
    "RULES",
    "activations",
    "attention",
    "convolutions",
    "creation",
    "fourier",
    "indexing",
    "linalg",
    "linear",
    "normalisation",
    "pointwise",
    "pooling",
    "recurrent",
    "reductions",
    "refusals",
    "resampling",
    "shapes",
]
