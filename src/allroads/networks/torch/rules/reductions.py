"""Sums, means, extremes, norms, running sums, sorting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule

Dims = int | Sequence[int] | None


def _axes(dim: Dims) -> tuple[int, ...] | None:
    if dim is None or isinstance(dim, int):
        return None if dim is None else (dim,)
    return tuple(dim) or None


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(self: Any, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Any:
        return function(self if dtype is None else self.astype(dtype), axis=_axes(dim), keepdims=keepdim)

    return reduce


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": jnp.sum,
    "mean": jnp.mean,
    "nanmean": jnp.nanmean,
    "nansum": jnp.nansum,
    "amax": jnp.max,
    "amin": jnp.min,
    "all": jnp.all,
    "any": jnp.any,
    "logsumexp": jax.nn.logsumexp,
    "special_logsumexp": jax.nn.logsumexp,
    "max": jnp.max,
    "min": jnp.min,
    "prod": jnp.prod,
}
for _name, _function in _REDUCTIONS.items():
    RULES[_name] = _reduction(_function)


@rule("argmax")
def _argmax(self: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmax(self, axis=dim, keepdims=keepdim)


@rule("argmin")
def _argmin(self: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    return jnp.argmin(self, axis=dim, keepdims=keepdim)


def _extreme(self: Any, dim: int, keepdim: bool, find: Callable[..., Any]) -> tuple[Any, Any]:
    place = find(self, axis=dim, keepdims=True)
    value = jnp.take_along_axis(self, place, axis=dim)
    return (value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim))


@rule("max.dim")
def _max_dim(self: Any, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
    return _extreme(self, dim, keepdim, jnp.argmax)


@rule("min.dim")
def _min_dim(self: Any, dim: int, keepdim: bool = False) -> tuple[Any, Any]:
    return _extreme(self, dim, keepdim, jnp.argmin)


def _variance(self: Any, dim: Dims, unbiased: Any, correction: Any, keepdim: bool) -> Any:
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    freedom = correction if correction is not None else int(unbiased)
    return jnp.var(self, axis=_axes(dim), ddof=freedom, keepdims=keepdim)


@rule("var")
def _var(self: Any, dim: Dims = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None) -> Any:
    return _variance(self, dim, unbiased, correction, keepdim)


@rule("std")
def _std(self: Any, dim: Dims = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None) -> Any:
    return jnp.sqrt(_variance(self, dim, unbiased, correction, keepdim))


@rule("var_mean")
def _var_mean(
    self: Any, dim: Dims = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None
) -> tuple[Any, Any]:
    over = None if isinstance(dim, bool) else _axes(dim)
    mean = jnp.mean(self, axis=over, keepdims=keepdim)
    return _variance(self, dim, unbiased, correction, keepdim), mean


@rule("norm", "linalg_vector_norm")
def _norm(self: Any, p: Any = 2, dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """‖x‖_p; at zero the derivative of the 2-norm is 0, as in PyTorch."""
    over, p, size = _axes(dim), 2 if p is None else p, jnp.abs(self)
    if p in (math.inf, -math.inf):
        return (jnp.max if p > 0 else jnp.min)(size, axis=over, keepdims=keepdim)
    if p == 0:
        return jnp.sum(self != 0, axis=over, keepdims=keepdim)
    if p == 1:
        return jnp.sum(size, axis=over, keepdims=keepdim)
    total = jnp.sum(self * self if p == 2 else size**p, axis=over, keepdims=keepdim)
    positive = total > 0
    return jnp.where(positive, jnp.where(positive, total, 1) ** (1 / p), 0)


RULES["linalg_vector_norm"] = lambda self, ord=2, dim=None, keepdim=False, dtype=None: _norm(self, ord, dim, keepdim)


@rule("cumsum")
def _cumsum(self: Any, dim: int, dtype: Any = None) -> Any:
    return jnp.cumsum(self, axis=dim, dtype=int if self.dtype == bool else dtype)


@rule("cumprod")
def _cumprod(self: Any, dim: int, dtype: Any = None) -> Any:
    return jnp.cumprod(self, axis=dim, dtype=dtype)


@rule("logcumsumexp")
def _logcumsumexp(self: Any, dim: int) -> Any:
    return jax.lax.cumlogsumexp(self, axis=dim % self.ndim)


def _running_extreme(self: Any, dim: int, beats: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """The extreme of all entries so far, and the place of the last of equals, as in PyTorch."""
    axis = dim % max(self.ndim, 1)
    shape = [-1 if a == axis else 1 for a in range(self.ndim)]
    places = jnp.broadcast_to(jnp.arange(self.shape[axis]).reshape(shape), self.shape)

    def later(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Any, Any]:
        wins = beats(second[0], first[0]) | jnp.isnan(second[0])
        wins = wins & (~jnp.isnan(first[0]) | jnp.isnan(second[0]))
        return jnp.where(wins, second[0], first[0]), jnp.where(wins, second[1], first[1])

    _, place = jax.lax.associative_scan(later, (jax.lax.stop_gradient(self), places), axis=axis)
    return jnp.take_along_axis(self, place, axis=axis), place


@rule("cummax")
def _cummax(self: Any, dim: int) -> tuple[Any, Any]:
    return _running_extreme(self, dim, jnp.greater_equal)


@rule("cummin")
def _cummin(self: Any, dim: int) -> tuple[Any, Any]:
    return _running_extreme(self, dim, jnp.less_equal)


@rule("cdist", "_cdist_forward")
def _cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    """‖x1_i − x2_j‖_p for all pairs; at distance 0 the derivative is 0, as in PyTorch."""
    return _norm(x1[..., :, None, :] - x2[..., None, :, :], p, -1)


@rule("sort")
def _sort(self: Any, dim: int = -1, descending: bool = False, stable: Any = None) -> tuple[Any, Any]:
    order = jnp.argsort(self, axis=dim, descending=descending)
    return jnp.take_along_axis(self, order, axis=dim), order


@rule("argsort")
def _argsort(self: Any, dim: int = -1, descending: bool = False, stable: Any = None) -> Any:
    return jnp.argsort(self, axis=dim, descending=descending)


@rule("topk")
def _topk(self: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, Any]:
    values, order = _sort(self, dim, descending=largest)
    kept = (slice(None),) * (dim % self.ndim) + (slice(k),)
    return values[kept], order[kept]
