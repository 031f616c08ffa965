"""How weights and biases are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import InputError, UnknownNameError

VARIANCES: dict[str, Callable[[int, int], float]] = {
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "normal": lambda fan_in, fan_out: 1.0,
}
BIASES = ("none", "zero", "normal", "uniform_fan_in")


@dataclass(frozen=True)
class Initialisation:
    """A rule for weights and one for biases; every draw is independent.

    Weights are normal with mean 0 and variance ``scale² · v``:

    ========  =========================
    rule      v
    ========  =========================
    lecun     1 / fan_in
    he        2 / fan_in
    glorot    2 / (fan_in + fan_out)
    normal    1
    ========  =========================

    Biases are ``"zero"``, ``"normal"`` with variance ``bias_scale²``, or ``"uniform_fan_in"`` on
    ``±bias_scale/√fan_in``, of variance ``bias_scale² / (3 fan_in)``. With ``"none"`` there are no biases.

    Args:
        rule: One of the four above.
        scale: Multiplies every weight; 0 or more.
        bias: One of the four above.
        bias_scale: Multiplies every bias; 0 or more.

    Raises:
        UnknownNameError: If there is no such rule.
        InputError: If a scale is negative or not finite.

    References: [lecun1998] [glorot2010] [he2015]

    Example:
        >>> layer = Initialisation("he", 1.0, "zero", 1.0).dense(jax.random.key(0), 3, 2)
        >>> layer["weight"].shape, layer["bias"]
        ((3, 2), Array([0., 0.], dtype=float32))
    """

    rule: str
    scale: float
    bias: str
    bias_scale: float

    def __post_init__(self) -> None:
        if self.rule not in VARIANCES:
            raise UnknownNameError("init", self.rule, VARIANCES)
        if self.bias not in BIASES:
            raise UnknownNameError("bias", self.bias, BIASES)
        for name in ("scale", "bias_scale"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value!r}; expected a finite number of 0 or more.")

    def weight(self, key: Any, fan_in: int, fan_out: int) -> Any:
        """One weight matrix, ``[fan_in, fan_out]``."""
        deviation = self.scale * math.sqrt(VARIANCES[self.rule](fan_in, fan_out))
        return deviation * jax.random.normal(key, (fan_in, fan_out))

    def biases(self, key: Any, fan_in: int, size: int) -> dict[str, Any]:
        """``{"bias": [size]}``, or nothing where there are no biases."""
        if self.bias == "none":
            return {}
        if self.bias == "zero":
            return {"bias": jnp.zeros(size)}
        if self.bias == "normal":
            return {"bias": self.bias_scale * jax.random.normal(key, (size,))}
        bound = self.bias_scale / math.sqrt(fan_in)
        return {"bias": jax.random.uniform(key, (size,), minval=-bound, maxval=bound)}

    def dense(self, key: Any, fan_in: int, fan_out: int) -> dict[str, Any]:
        """One affine layer: ``weight`` of ``[fan_in, fan_out]`` and its biases."""
        weight_key, bias_key = jax.random.split(key)
        return {"weight": self.weight(weight_key, fan_in, fan_out), **self.biases(bias_key, fan_in, fan_out)}


def affine(layer: dict[str, Any], x: Any) -> Any:
    """``x W + b``, or ``x W`` where the layer has no biases."""
    return shifted(layer, x @ layer["weight"])


def affine_columns(layer: dict[str, Any], x: Any) -> Any:
    """``Wᵀ x + b`` for one example a column, or ``Wᵀ x`` where the layer has no biases."""
    return shifted_columns(layer, layer["weight"].T @ x)


def shifted_columns(layer: dict[str, Any], x: Any) -> Any:
    """``x + b`` for one example a column, or ``x`` where the layer has no biases."""
    return x + layer["bias"][:, None] if "bias" in layer else x


def shifted(layer: dict[str, Any], x: Any) -> Any:
    """``x + b``, or ``x`` where the layer has no biases."""
    return x + layer["bias"] if "bias" in layer else x
