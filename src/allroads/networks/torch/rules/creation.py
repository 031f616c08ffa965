"""Tensors made from numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from allroads.networks.torch.rules.registry import rule


@rule("arange")
def _arange(*bounds: Any, dtype: Any = None) -> Any:
    start, stop, step = {1: (0, *bounds, 1), 2: (*bounds, 1)}.get(len(bounds), bounds)
    return jnp.arange(start, stop, step, dtype)


@rule("linspace")
def _linspace(start: Any, end: Any, steps: int, dtype: Any = None) -> Any:
    return jnp.linspace(start, end, steps, dtype=dtype)


@rule("zeros", "empty")
def _zeros(size: Sequence[int], dtype: Any = None) -> Any:
    return jnp.zeros(tuple(size), dtype)


@rule("ones")
def _ones(size: Sequence[int], dtype: Any = None) -> Any:
    return jnp.ones(tuple(size), dtype)


@rule("full")
def _full(size: Sequence[int], fill_value: Any, dtype: Any = None) -> Any:
    return jnp.full(tuple(size), fill_value, dtype)


@rule("zeros_like", "zero", "empty_like")
def _zeros_like(self: Any, dtype: Any = None) -> Any:
    return jnp.zeros(self.shape, dtype or self.dtype)


@rule("ones_like")
def _ones_like(self: Any, dtype: Any = None) -> Any:
    return jnp.ones(self.shape, dtype or self.dtype)


@rule("full_like")
def _full_like(self: Any, fill_value: Any, dtype: Any = None) -> Any:
    return jnp.full(self.shape, fill_value, dtype or self.dtype)


@rule("fill")
def _fill(self: Any, value: Any) -> Any:
    return jnp.full(self.shape, value, self.dtype)


@rule("new_zeros", "new_empty")
def _new_zeros(self: Any, size: Sequence[int], dtype: Any = None) -> Any:
    return jnp.zeros(tuple(size), dtype or self.dtype)


@rule("new_ones")
def _new_ones(self: Any, size: Sequence[int], dtype: Any = None) -> Any:
    return jnp.ones(tuple(size), dtype or self.dtype)


@rule("new_full")
def _new_full(self: Any, size: Sequence[int], fill_value: Any, dtype: Any = None) -> Any:
    return jnp.full(tuple(size), fill_value, dtype or self.dtype)


@rule("eye")
def _eye(n: int, m: int | None = None, dtype: Any = None) -> Any:
    return jnp.eye(n, m, dtype=dtype)


@rule("scalar_tensor")
def _scalar_tensor(s: Any, dtype: Any = None) -> Any:
    return jnp.asarray(s, dtype)


@rule("meshgrid")
def _meshgrid(tensors: Sequence[Any], indexing: str = "ij") -> list[Any]:
    return list(jnp.meshgrid(*tensors, indexing=indexing))
