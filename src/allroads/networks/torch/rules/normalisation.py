"""Normalisation layers, and dropout that is switched off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from allroads.errors import NotDeterministicError
from allroads.networks.torch.rules.registry import rule


def _standardise(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    centred = x - jnp.mean(x, axis=axes, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, axis=axes, keepdims=True) + eps)


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _by_channel(parameter: Any, ndim: int) -> Any:
    return None if parameter is None else parameter.reshape(-1, *[1] * (ndim - 2))


@rule("layer_norm")
def _layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    return _affine(_standardise(input, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


@rule("rms_norm")
def _rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    axes = tuple(range(-len(normalized_shape), 0))
    smallest = float(jnp.finfo(input.dtype).eps) if eps is None else eps
    return _affine(input * lax.rsqrt(jnp.mean(input**2, axis=axes, keepdims=True) + smallest), weight, None)


@rule("group_norm")
def _group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *rest: Any
) -> Any:
    n, channels = input.shape[:2]
    size = channels // num_groups * math.prod(input.shape[2:])
    out = _standardise(input.reshape(n, num_groups, size), (2,), eps).reshape(input.shape)
    return _affine(out, _by_channel(weight, input.ndim), _by_channel(bias, input.ndim))


@rule("batch_norm")
def _batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    if training:
        raise NotDeterministicError(
            "a batch norm uses the statistics of the batch, so the answer for one example depends on the others: "
            "call module.eval() first, and keep track_running_stats=True"
        )
    mean, var = _by_channel(running_mean, input.ndim), _by_channel(running_var, input.ndim)
    out = (input - mean) * lax.rsqrt(var + eps)
    return _affine(out, _by_channel(weight, input.ndim), _by_channel(bias, input.ndim))


@rule("instance_norm")
def _instance_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    if use_input_stats:
        out = _standardise(input, tuple(range(2, input.ndim)), eps)
    else:
        mean, var = _by_channel(running_mean, input.ndim), _by_channel(running_var, input.ndim)
        out = (input - mean) * lax.rsqrt(var + eps)
    return _affine(out, _by_channel(weight, input.ndim), _by_channel(bias, input.ndim))


@rule("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def _dropout(input: Any, p: float, train: bool) -> Any:
    if train and p > 0:
        raise NotDeterministicError("dropout is switched on: call module.eval() first")
    return input
