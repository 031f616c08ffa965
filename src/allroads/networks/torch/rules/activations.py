"""Activation functions, with PyTorch's derivative at their kinks."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import NotDeterministicError
from allroads.networks.torch.rules.registry import RULES, rule

RULES.update(
    relu=jax.nn.relu,
    sigmoid=jax.nn.sigmoid,
    silu=jax.nn.silu,
    mish=jax.nn.mish,
    softsign=jax.nn.soft_sign,
    log_sigmoid=jax.nn.log_sigmoid,
    special_expit=jax.nn.sigmoid,
)


@rule("gelu")
def _gelu(self: Any, approximate: str = "none") -> Any:
    return jax.nn.gelu(self, approximate=approximate == "tanh")


@rule("leaky_relu")
def _leaky_relu(self: Any, negative_slope: float = 0.01) -> Any:
    return jnp.where(self > 0, self, negative_slope * self)


@rule("rrelu")
def _rrelu(self: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    if training:
        raise NotDeterministicError("RReLU draws its slopes: call module.eval() first")
    return _leaky_relu(self, (lower + upper) / 2)


@rule("rrelu_with_noise")
def _rrelu_with_noise(self: Any, noise: Any, *rest: Any) -> Any:
    return _rrelu(self, *rest)


@rule("prelu")
def _prelu(self: Any, weight: Any) -> Any:
    if weight.size > 1:
        weight = weight.reshape(-1, *[1] * (self.ndim - 2))
    return jnp.where(self > 0, self, weight * self)


@rule("elu")
def _elu(self: Any, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> Any:
    below = alpha * jnp.expm1(jnp.where(self > 0, 0, self) * input_scale)
    return scale * jnp.where(self > 0, self, below)


@rule("celu")
def _celu(self: Any, alpha: Any = 1.0) -> Any:
    return _elu(self, alpha, 1, 1 / alpha)


@rule("selu")
def _selu(self: Any) -> Any:
    return _elu(self, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


@rule("hardtanh")
def _hardtanh(self: Any, min_val: Any = -1, max_val: Any = 1) -> Any:
    return jnp.where(self <= min_val, min_val, jnp.where(self >= max_val, max_val, self))


@rule("relu6")
def _relu6(self: Any) -> Any:
    return _hardtanh(self, 0, 6)


@rule("hardsigmoid")
def _hardsigmoid(self: Any) -> Any:
    return _hardtanh(self + 3, 0, 6) / 6


@rule("hardswish")
def _hardswish(self: Any) -> Any:
    return jnp.where(self <= -3, 0, jnp.where(self >= 3, self, self * (self + 3) / 6))


@rule("softplus")
def _softplus(self: Any, beta: Any = 1, threshold: Any = 20) -> Any:
    return jnp.where(self * beta > threshold, self, jax.nn.softplus(self * beta) / beta)


@rule("hardshrink")
def _hardshrink(self: Any, lambd: Any = 0.5) -> Any:
    return jnp.where(jnp.abs(self) <= lambd, 0, self)


@rule("softshrink")
def _softshrink(self: Any, lambd: Any = 0.5) -> Any:
    return jnp.where(self > lambd, self - lambd, jnp.where(self < -lambd, self + lambd, 0))


@rule("threshold")
def _threshold(self: Any, threshold: Any, value: Any) -> Any:
    return jnp.where(self <= threshold, value, self)


@rule("glu")
def _glu(self: Any, dim: int = -1) -> Any:
    first, second = jnp.split(self, 2, axis=dim)
    return first * jax.nn.sigmoid(second)


@rule("softmax", "_softmax", "special_softmax")
def _softmax(self: Any, dim: int, dtype: Any = None) -> Any:
    return jax.nn.softmax(self if dtype in (None, False, True) else self.astype(dtype), axis=dim)


@rule("log_softmax", "_log_softmax", "special_log_softmax")
def _log_softmax(self: Any, dim: int, dtype: Any = None) -> Any:
    return jax.nn.log_softmax(self if dtype in (None, False, True) else self.astype(dtype), axis=dim)
