"""Arithmetic, comparison and logic, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.networks.torch.rules.registry import RULES, rule

_SAME: dict[str, Callable[..., Any]] = {
    "abs": jnp.abs,
    "absolute": jnp.abs,
    "acos": jnp.arccos,
    "acosh": jnp.arccosh,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "arctan": jnp.arctan,
    "atanh": jnp.arctanh,
    "atan2": jnp.arctan2,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_not": jnp.bitwise_not,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "__and__": jnp.bitwise_and,
    "__or__": jnp.bitwise_or,
    "__xor__": jnp.bitwise_xor,
    "__lshift__": jnp.left_shift,
    "__rshift__": jnp.right_shift,
    "ceil": jnp.ceil,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "deg2rad": jnp.deg2rad,
    "eq": jnp.equal,
    "erf": jax.lax.erf,
    "special_erf": jax.lax.erf,
    "erfc": jax.lax.erfc,
    "erfinv": jax.lax.erf_inv,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "floor_divide": jnp.floor_divide,
    "fmod": jnp.fmod,
    "ge": jnp.greater_equal,
    "gt": jnp.greater,
    "greater": jnp.greater,
    "isfinite": jnp.isfinite,
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "le": jnp.less_equal,
    "lgamma": jax.lax.lgamma,
    "log": jnp.log,
    "log10": jnp.log10,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "logaddexp": jnp.logaddexp,
    "logical_and": jnp.logical_and,
    "logical_not": jnp.logical_not,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "lt": jnp.less,
    "less": jnp.less,
    "maximum": jnp.maximum,
    "max.other": jnp.maximum,
    "minimum": jnp.minimum,
    "min.other": jnp.minimum,
    "mul": jnp.multiply,
    "multiply": jnp.multiply,
    "ne": jnp.not_equal,
    "not_equal": jnp.not_equal,
    "neg": jnp.negative,
    "reciprocal": jnp.reciprocal,
    "remainder": jnp.remainder,
    "rsqrt": jax.lax.rsqrt,
    "sign": jnp.sign,
    "sgn": jnp.sign,
    "sin": jnp.sin,
    "sinc": jnp.sinc,
    "sinh": jnp.sinh,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "trunc": jnp.trunc,
}
for _name, _function in _SAME.items():
    RULES[_name] = _function


@rule("add")
def _add(self: Any, other: Any, alpha: Any = 1) -> Any:
    return jnp.add(self, other if alpha == 1 else alpha * other)


@rule("sub", "subtract")
def _sub(self: Any, other: Any, alpha: Any = 1) -> Any:
    return jnp.subtract(self, other if alpha == 1 else alpha * other)


@rule("rsub")
def _rsub(self: Any, other: Any, alpha: Any = 1) -> Any:
    return jnp.subtract(other, self if alpha == 1 else alpha * self)


@rule("div", "divide", "true_divide")
def _div(self: Any, other: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return jnp.floor_divide(self, other)
    quotient = jnp.divide(self, other)
    return jnp.trunc(quotient) if rounding_mode == "trunc" else quotient


@rule("addcmul")
def _addcmul(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return self + value * tensor1 * tensor2


@rule("addcdiv")
def _addcdiv(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    return self + value * tensor1 / tensor2


@rule("lerp")
def _lerp(self: Any, end: Any, weight: Any) -> Any:
    return self + weight * (end - self)


@rule("pow")
def _pow(self: Any, exponent: Any) -> Any:
    if isinstance(exponent, float) and exponent.is_integer():
        exponent = int(exponent)
    return jnp.power(self, exponent)


@rule("clamp", "clip", "clamp_min", "clamp_max")
def _clamp(self: Any, min: Any = None, max: Any = None) -> Any:
    # at a bound the derivative is that of the input, as in PyTorch; jnp.clip would halve it
    if min is not None:
        self = jnp.where(self < min, min, self)
    return self if max is None else jnp.where(self > max, max, self)


RULES["clamp_max"] = lambda self, max: _clamp(self, max=max)


@rule("where")
def _where(condition: Any, self: Any, other: Any) -> Any:
    return jnp.where(condition, self, other)


@rule("masked_fill")
def _masked_fill(self: Any, mask: Any, value: Any) -> Any:
    return jnp.where(mask, value, self)


@rule("nan_to_num")
def _nan_to_num(self: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    return jnp.nan_to_num(self, nan=nan or 0.0, posinf=posinf, neginf=neginf)


@rule("round")
def _round(self: Any, decimals: int = 0) -> Any:
    return jnp.round(self, decimals)


@rule("frac")
def _frac(self: Any) -> Any:
    return self - jnp.trunc(self)


@rule("copy")
def _copy(self: Any, src: Any, non_blocking: bool = False) -> Any:
    return jnp.broadcast_to(src, self.shape)


@rule("clone", "contiguous", "lift_fresh_copy", "lift_fresh", "alias", "positive", "alias_copy")
def _same(self: Any) -> Any:
    return self


@rule("to", "_to_copy", "type_as", "to.dtype_layout", "float", "double", "long", "int", "bool", "_cast_Float")
def _to(self: Any, *rest: Any, dtype: Any = None) -> Any:
    return self  # the interpreter gives every result the precision that the export says


@rule("detach")
def _detach(self: Any) -> Any:
    return jax.lax.stop_gradient(self)
