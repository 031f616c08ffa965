"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from allroads.errors import NotDeterministicError
from allroads.networks.torch.rules.registry import rule


@rule("scaled_dot_product_attention")
def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(q kᵀ · scale + mask) v; a query that may look nowhere gives zeros."""
    if dropout_p > 0:
        raise NotDeterministicError("attention dropout is switched on: call module.eval() first")
    if enable_gqa:
        key = jnp.repeat(key, query.shape[-3] // key.shape[-3], axis=-3)
        value = jnp.repeat(value, query.shape[-3] // value.shape[-3], axis=-3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = jnp.matmul(query * scale, jnp.swapaxes(key, -1, -2))
    if is_causal:
        attn_mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    if attn_mask is not None:
        masked = jnp.where(attn_mask, 0, -jnp.inf) if attn_mask.dtype == bool else attn_mask
        scores = scores + masked.astype(scores.dtype)
    return jnp.matmul(_safe_softmax(scores), value)


@rule("_safe_softmax")
def _safe_softmax(self: Any, dim: int = -1, dtype: Any = None) -> Any:
    """Softmax that gives zeros, and zero gradients, where every score is −∞."""
    seen = self > -jnp.inf
    somewhere = jnp.any(seen, axis=dim, keepdims=True)
    top = jnp.max(jnp.where(somewhere, self, 0), axis=dim, keepdims=True)
    weight = jnp.where(seen, jnp.exp(jnp.where(seen, self - top, 0)), 0)
    return weight / jnp.where(somewhere, jnp.sum(weight, axis=dim, keepdims=True), 1)
